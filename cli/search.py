"""`mmsearch search`: one question by words, a picture or a product, and which leg found what."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import click

from mmsearch.cli.hits import html, lines
from mmsearch.cli.options import tls
from mmsearch.clients.opensearch import DEFAULT_URL, ask, connect
from mmsearch.errors import SearchError
from mmsearch.search import query_log
from mmsearch.search.bodies import WINDOW, mode_of, search_body
from mmsearch.search.client import in_a_sentence, names_for


def _filters(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for value in values:
        field, _, wanted = value.partition("=")
        if not field or not wanted:
            raise click.BadParameter(f"expected FIELD=VALUE, such as category=Kitchen, got {value!r}")
        found[field] = wanted
    return found


@click.command("search")
@click.argument("text", required=False, default="")
@click.option(
    "--image", type=click.Path(path_type=Path), help="A picture to search by, alone or with the text."
)
@click.option("--like", help="The id of a product to find similar ones to.")
@click.option(
    "--mode",
    type=click.Choice(["lexical", "neural", "hybrid"]),
    help="[default: hybrid for words, neural otherwise]",
)
@click.option("-k", type=click.IntRange(1, WINDOW), default=10, show_default=True, help="How many hits.")
@click.option(
    "--filter",
    "filters",
    metavar="FIELD=VALUE",
    multiple=True,
    callback=_filters,
    help="Only products with it.",
)
@click.option("--field", default="embedding", show_default=True, help="The vector field to search.")
@click.option("--index", default="products", envvar="MMSEARCH_INDEX", show_default=True)
@click.option("--opensearch", default=DEFAULT_URL, envvar="MMSEARCH_OPENSEARCH", show_default=True)
@tls
@click.option("--json", "as_json", is_flag=True, help="The hits as JSON, one object a line.")
@click.option("--html", "page", type=click.Path(path_type=Path), help="Also write a page with the pictures.")
@click.option(
    "--image-root", type=click.Path(path_type=Path), default=Path(), help="Where the page finds the pictures."
)
@click.option("--log", is_flag=True, help=f"Also write what was asked and found to {query_log.INDEX}.")
def command(
    text: str,
    image: Path | None,
    like: str | None,
    mode: str | None,
    k: int,
    filters: dict[str, str],
    field: str,
    index: str,
    opensearch: str,
    as_json: bool,
    page: Path | None,
    image_root: Path,
    log: bool,
) -> None:
    """Search by words, by a picture, by both, or by a product that is in the index.

    Prints rank, score, the legs that found the hit, and the title.

    \b
    Example:
      mmsearch search "wooden chair"
      mmsearch search "wooden chair" --mode neural --filter category=Kitchen -k 5
      mmsearch search --image chair.png
    """
    picture = _picture(image)
    mode = mode_of(text, picture, like, mode)
    client = connect(opensearch)
    try:
        with in_a_sentence(index):
            body = search_body(
                text,
                picture=picture,
                like=like,
                mode=mode,
                k=k,
                filters=filters,
                field=field,
                names=names_for(mode, client, index),
            )
            answer = ask(client, "POST", f"/{index}/_search", body=body)
            if log:
                query, modality = query_log.asked(text=text, picture=str(image or ""), like=like or "")
                documents = query_log.of_search(
                    answer, query=query, modality=modality, mode=mode, index=index
                )
                query_log.write(client, documents)
    finally:
        client.close()
    hits = answer["hits"]["hits"]
    for number, line in enumerate(lines(hits), 1):
        click.echo(json.dumps({"rank": number, **hits[number - 1]}) if as_json else line)
    if not hits and not as_json:
        click.echo("no hits")
    for degraded in answer.get("ext", {}).get("mmsearch", {}).get("degraded", []):
        click.echo(f"mmsearch: without the leg {degraded.get('leg')}: {degraded.get('reason')}", err=True)
    if page is not None:
        page.write_text(html(text or str(image or like), hits, image_root), encoding="utf-8")


def _picture(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise SearchError(f"expected a picture at {path}, got: {error.strerror}") from None
