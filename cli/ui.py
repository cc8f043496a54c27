"""`mmsearch ui`: a local page to search with pictures."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from opensearchpy import OpenSearch
from werkzeug.serving import make_server

from mmsearch.cli.options import tls
from mmsearch.clients.opensearch import DEFAULT_URL, ask, connect
from mmsearch.errors import MmsearchError
from mmsearch.evaluation.ui.app import Asked, Question, create
from mmsearch.search import query_log
from mmsearch.search.bodies import mode_of, search_body
from mmsearch.search.client import in_a_sentence, names_for
from mmsearch.search.lexical import DEFAULT, LexicalClauses

HOST = "127.0.0.1"


@click.command("ui")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8090,
    show_default=True,
    help="Port of the page; 0 takes a free one.",
)
@click.option(
    "--image-root",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    help="Folder with the product pictures.  [default: this folder]",
)
@click.option("--index", default="products", envvar="MMSEARCH_INDEX", show_default=True)
@click.option("--opensearch", default=DEFAULT_URL, envvar="MMSEARCH_OPENSEARCH", show_default=True)
@tls
@click.option("--log", is_flag=True, help=f"Record queries and hits in the index {query_log.INDEX}.")
def command(port: int, image_root: Path, index: str, opensearch: str, log: bool) -> None:
    """Serve a local search page: text, pictures, modes and weights, two systems side by side.

    It listens on 127.0.0.1 only. Stop it with Ctrl-C.

    \b
    Example:
      mmsearch ui --image-root pictures/
    """
    client = connect(opensearch)
    app = create(
        asking(client, index),
        lambda body: search(client, index, body),
        image_root.resolve(),
        index=index,
        log=(lambda asked, answer: record(client, index, asked, answer)) if log else None,
    )
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    try:
        server = make_server(HOST, port, app, threaded=True)
    except (OSError, SystemExit):
        raise MmsearchError(
            f"expected port {port} to be free, got a used one; choose another by --port"
        ) from None
    click.echo(f"http://{HOST}:{server.server_port}/ (press Ctrl-C to stop)")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        click.echo("ended")
    finally:
        server.server_close()
        client.close()


def asking(client: OpenSearch, index: str) -> Question:
    """Builds search bodies with the node's current clause names, because the node may restart, and with the
    lexical query of the index."""
    queries = LexicalClauses()

    def put(
        text: str,
        *,
        picture: str = "",
        like: str | None = None,
        mode: str | None = None,
        k: int = 10,
        filters: Mapping[str, str] | None = None,
        collapse: str | None = None,
    ) -> dict[str, Any]:
        mode = mode_of(text, picture, like, mode)
        with in_a_sentence(index):
            names = names_for(mode, client, index)
            lexical = DEFAULT if mode == "neural" else queries.of(client, index)
        return search_body(
            text,
            picture=picture,
            like=like,
            mode=mode,
            k=k,
            filters=filters,
            names=names,
            lexical=lexical,
            collapse=collapse,
        )

    return put


def search(client: OpenSearch, index: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Run one search. Failures are MmsearchErrors with one sentence."""
    with in_a_sentence(index):
        answer: Mapping[str, Any] = ask(client, "POST", f"/{index}/_search", body=body)
    return answer


def record(client: OpenSearch, index: str, asked: Asked, answer: Mapping[str, Any]) -> None:
    """Log one search."""
    query, modality = query_log.asked(text=asked.text, picture=asked.picture, like=asked.like)
    query_log.write(
        client, query_log.of_search(answer, query=query, modality=modality, mode=asked.mode, index=index)
    )
