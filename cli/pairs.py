"""`mmsearch pairs`: hard negatives for training pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from mmsearch.cli.options import catalog_form, only, tls


@click.command("pairs")
@click.argument("pairs", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--catalog",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The catalog, as for `mmsearch train`.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the pairs with negatives.",
)
@click.option(
    "--per-query", type=click.IntRange(1), default=3, show_default=True, help="Negatives per query."
)
@click.option("--no-bm25", is_flag=True, help="Do not use BM25 negatives.")
@click.option("--index", envvar="MMSEARCH_INDEX", help="Also use products that this index's model finds.")
@click.option(
    "--opensearch",
    envvar="MMSEARCH_OPENSEARCH",
    default="http://127.0.0.1:9200",
    show_default=True,
    help="URL of OpenSearch.",
)
@catalog_form
@only
@tls
def command(
    pairs: Path,
    catalog: Path,
    out: Path,
    per_query: int,
    no_bm25: bool,
    index: str | None,
    opensearch: str,
    renamed: dict[str, str],
    preset: str | None,
    form: str | None,
    only: dict[str, str],
) -> None:
    """Add hard negatives to PAIRS: products that BM25 or the current index returns and that nobody chose.

    Example: mmsearch pairs pairs.jsonl --catalog catalog.jsonl --index products --out hard.jsonl
    """
    from mmsearch.clients.opensearch import ask, connect
    from mmsearch.errors import MmsearchError
    from mmsearch.search.clauses import served
    from mmsearch.search.client import in_a_sentence
    from mmsearch.training.mining import Search, bm25_search, mined
    from mmsearch.training.pairs import read_pairs, read_products

    def report(line: str) -> None:
        click.echo(f"  {line}", err=True)

    searches: list[Search] = []
    if not no_bm25:
        products = read_products(catalog, say=report, renames=renamed, preset=preset, form=form)
        searches.append(bm25_search(products))
    if index:
        client = connect(opensearch)
        name = index
        with in_a_sentence(name):
            clauses = served(client, name)

        def by_index(query: str, size: int) -> list[str]:
            clause = {clauses.neural: {"embedding": {"query_text": query, "k": size}}}
            body = {"size": size, "_source": False, "query": clause}
            with in_a_sentence(name):
                answer = ask(client, "POST", f"/{name}/_search", body=body)
            return ids(answer, name)

        searches.append(by_index)
    if not searches:
        raise MmsearchError("expected BM25 or --index to mine from, got neither; leave out --no-bm25")
    found = mined(read_pairs(pairs, report, only), searches, per_query)
    records = (
        {
            "query": pair.query,
            "product_id": pair.product,
            "count": pair.count,
            "negatives": pair.negatives,
        }
        for pair in found
    )
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MmsearchError(
            f"expected to write pairs to {out}, got: {error.strerror}; name a file in an existing, "
            "writable folder by --out"
        ) from None
    lacking = len({pair.query for pair in found if not pair.negatives})
    click.echo(f"{len(found)} pairs written to {out}; {lacking} queries have no hard negative")


def ids(answer: dict[str, Any], index: str) -> list[str]:
    """Return the ids of the hits. Raise MmsearchError if shards failed or the search timed out, because
    products there would never be negatives.
    """
    from mmsearch.errors import MmsearchError

    shards = answer["_shards"]
    if shards["failed"] or answer["timed_out"]:
        got = f"{shards['failed']} of {shards['total']} failed" if shards["failed"] else "a timeout"
        raise MmsearchError(
            f"expected every shard of {index} to answer in time, got {got}; fix the index and run it again"
        )
    return [hit["_id"] for hit in answer["hits"]["hits"]]
