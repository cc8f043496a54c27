"""`mmsearch search`: one question by words, a picture or a product, and which leg found what."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from opensearchpy import OpenSearch

from mmsearch.cli.hits import html, lines
from mmsearch.cli.options import tls
from mmsearch.clients.causes import repair
from mmsearch.clients.opensearch import DEFAULT_URL, HttpError, ask, connect
from mmsearch.clients.retry import AwayError
from mmsearch.errors import MmsearchError, UnreachableError
from mmsearch.search import query_log
from mmsearch.search.clauses import ALONE, ClauseNames, served

LEXICAL_FIELDS = ["title^2", "description", "category", "brand"]
WINDOW = 100


class SearchError(MmsearchError):
    """The search was refused, or the question is incomplete."""


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
            body = question(
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


@contextmanager
def in_a_sentence(index: str) -> Iterator[None]:
    """What stands in a search's way, as an MmsearchError of one sentence."""
    try:
        yield
    except AwayError as away:
        raise UnreachableError(away.sentence()) from None
    except HttpError as error:
        raise SearchError(
            f"expected hits from {index}, got {error}; {repair(error.status, error.kind)}"
        ) from None


def mode_of(text: str, picture: str, like: str | None, mode: str | None) -> str:
    """The mode of a question: words are asked by a hybrid; a picture or a product has nothing to ask BM25
    with.

    Raises SearchError when there is nothing to search by.
    """
    mode = mode or ("hybrid" if text else "neural")
    if not (text or picture or like):
        raise SearchError(
            'expected words, --image or --like to search by, got none; try: mmsearch search "chair"'
        )
    if mode != "neural" and not text:
        raise SearchError(
            f"expected words for the {mode} search, got none; add them, or choose --mode neural"
        )
    return mode


def names_for(mode: str, client: OpenSearch, index: str) -> ClauseNames:
    """What the node calls the clauses of a question; a lexical one has none, and costs no request.

    Raises AwayError or HttpError.
    """
    return ALONE if mode == "lexical" else served(client, index)


def question(
    text: str,
    *,
    picture: str = "",
    like: str | None = None,
    mode: str | None = None,
    k: int = 10,
    filters: Mapping[str, str] | None = None,
    field: str = "embedding",
    names: ClauseNames = ALONE,
) -> dict[str, Any]:
    """The `_search` body; `picture` is base64, `names` what the node calls the clauses.

    Raises SearchError when there is nothing to search by.
    """
    mode = mode_of(text, picture, like, mode)
    only = _only(filters or {})
    lexical: dict[str, Any] = {
        "multi_match": {"query": text, "fields": LEXICAL_FIELDS, "type": "cross_fields", "_name": "lexical"}
    }
    if mode == "lexical":
        query: dict[str, Any] = {"bool": {"must": [lexical], "filter": [only] if only else []}}
    else:
        asked: dict[str, Any] = {"k": k if mode == "neural" else WINDOW, "_name": "dense"}
        if text:
            asked["query_text"] = text
        if picture:
            asked["query_image"] = picture
        if like:
            asked["like"] = {"_id": like}
        if mode == "neural":
            if only:
                asked["filter"] = only
            query = {names.neural: {field: asked}}
        else:
            legs = [lexical, {names.neural: {field: asked}}]
            query = {names.hybrid: {"queries": legs, "pagination_depth": WINDOW}}
            if only:
                query[names.hybrid]["filter"] = only
    return {"size": k, "query": query, "_source": ["title", "image", "category", "brand", "price"]}


def _only(filters: Mapping[str, str]) -> dict[str, Any] | None:
    """Each FIELD=VALUE exactly; a text field is asked by its keyword, an unknown field is an attribute."""
    clauses: list[dict[str, Any]] = []
    for field, value in filters.items():
        if field in ("category", "brand"):
            clauses.append({"term": {f"{field}.keyword": value}})
        elif field in ("title", "description"):
            clauses.append({"match": {field: {"query": value, "operator": "and"}}})
        elif field == "price":
            clauses.append({"term": {field: value}})
        else:
            clauses.append({"term": {f"attributes.{field.removeprefix('attributes.')}": value}})
    if not clauses:
        return None
    return clauses[0] if len(clauses) == 1 else {"bool": {"filter": clauses}}


def _picture(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise SearchError(f"expected a picture at {path}, got: {error.strerror}") from None
