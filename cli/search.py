"""`mmsearch search`: search by text, a picture or a product, and show the legs of each hit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import cast

import click

from mmsearch.api.client import Client, Mode
from mmsearch.cli.hits import html, lines
from mmsearch.cli.options import tls
from mmsearch.clients.opensearch import DEFAULT_URL
from mmsearch.search import query_log
from mmsearch.search.bodies import WINDOW

_OPERATORS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_FILTER = re.compile(r"([^<>=]+)(<=|>=|<|>|=)(.+)", re.DOTALL)


def _filters(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str | dict[str, str]]:
    found: dict[str, str | dict[str, str]] = {}
    for value in values:
        parts = _FILTER.fullmatch(value)
        if parts is None:
            raise click.BadParameter(
                f"expected FIELD=VALUE, such as category=Kitchen, or a bound as in 'price<20', got {value!r}"
            )
        field, operator, wanted = parts.groups()
        if operator == "=":
            found[field] = wanted
        else:
            field, wanted = field.strip(), wanted.strip()
            before = found.get(field)
            found[field] = {**(before if isinstance(before, dict) else {}), _OPERATORS[operator]: wanted}
    return found


@click.command("search")
@click.argument("text", required=False, default="")
@click.option(
    "--image", type=click.Path(path_type=Path), help="Search by this picture, alone or with the text."
)
@click.option("--like", help="Search for products similar to the one with this id.")
@click.option(
    "--mode",
    type=click.Choice(["lexical", "neural", "hybrid"]),
    help="[default: hybrid for words, neural otherwise]",
)
@click.option("-k", type=click.IntRange(1, WINDOW), default=10, show_default=True, help="Number of hits.")
@click.option(
    "--filter",
    "filters",
    metavar="FIELD=VALUE",
    multiple=True,
    callback=_filters,
    help="Return only products with this value; numbers and dates also by <, <=, > and >=.",
)
@click.option(
    "--collapse",
    metavar="FIELD",
    help="Return only the best hit for each value of FIELD, for example group for the variants of a product.",
)
@click.option(
    "--text-to-image",
    type=click.FloatRange(0, 1),
    help="Weight of the similarity between the text and a product's image.  [default: as ingest measured]",
)
@click.option("--field", default="embedding", show_default=True, help="The vector field to search.")
@click.option("--index", default="products", envvar="MMSEARCH_INDEX", show_default=True)
@click.option("--opensearch", default=DEFAULT_URL, envvar="MMSEARCH_OPENSEARCH", show_default=True)
@tls
@click.option("--json", "as_json", is_flag=True, help="Print the hits as JSON, one object per line.")
@click.option(
    "--html", "page", type=click.Path(path_type=Path), help="Also write an HTML page with the pictures."
)
@click.option(
    "--image-root",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Folder with the pictures for --html.",
)
@click.option("--log", is_flag=True, help=f"Also record query and hits in the index {query_log.INDEX}.")
def command(
    text: str,
    image: Path | None,
    like: str | None,
    mode: str | None,
    k: int,
    filters: dict[str, str | dict[str, str]],
    collapse: str | None,
    text_to_image: float | None,
    field: str,
    index: str,
    opensearch: str,
    as_json: bool,
    page: Path | None,
    image_root: Path,
    log: bool,
) -> None:
    """Search by text, by a picture, by both, or by an indexed product.

    Prints rank, score, the legs that found the hit, and the title.

    \b
    Example:
      mmsearch search "wooden chair"
      mmsearch search "wooden chair" --mode neural --filter category=Kitchen -k 5
      mmsearch search lamp --filter "width_cm<=40" --filter colour=red
      mmsearch search --image chair.png
      mmsearch search hoodie --collapse group
    """
    with Client(opensearch, index=index) as shop:
        found = shop.search(
            text,
            image=image,
            like=like,
            mode=cast(Mode | None, mode),
            filter=filters,
            k=k,
            text_to_image=text_to_image,
            field=field,
            collapse=collapse,
            log=log,
        )
    hits = found.answer["hits"]["hits"]
    for number, line in enumerate(lines(hits), 1):
        click.echo(json.dumps({"rank": number, **hits[number - 1]}) if as_json else line)
    if not hits and not as_json:
        click.echo("no hits")
    for degraded in found.degraded:
        click.echo(f"mmsearch: without the leg {degraded.get('leg')}: {degraded.get('reason')}", err=True)
    if page is not None:
        page.write_text(html(text or str(image or like), hits, image_root), encoding="utf-8")
