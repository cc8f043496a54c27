"""`mmsearch judgments`: convert judgments of other tools and behavior events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from opensearchpy import OpenSearch, helpers
from opensearchpy.exceptions import OpenSearchException

from mmsearch.cli.ending import messages, say
from mmsearch.cli.options import only, tls
from mmsearch.clients.opensearch import DEFAULT_URL, connect
from mmsearch.errors import MmsearchError
from mmsearch.evaluation.exchange import trec, ubi, workbench
from mmsearch.evaluation.exchange.judged_file import read_judgments
from mmsearch.evaluation.judgments import Judgments, write_csv, write_jsonl

PATH = click.Path(path_type=Path)
_KINDS = {
    ".jsonl": "JSON Lines",
    ".qrels": "TREC qrels",
    ".json": "a Search Relevance Workbench judgment list",
    ".csv": "CSV",
}
_OTHER = "a table"


@click.group("judgments")
def command() -> None:
    """Convert judgments: JSON Lines, TREC qrels, Search Relevance Workbench, behaviour events.

    Example: mmsearch judgments convert judgments.jsonl judgments.qrels
    """


@command.command("convert")
@click.argument("source", type=PATH)
@click.argument("target", type=PATH)
@click.option("--esci", is_flag=True, help="Read grades or ratings 3 to 0 as E, S, C, I.")
@only
@click.option("--name", help="Name of the list in the workbench.  [default: the file's]")
def convert(source: Path, target: Path, esci: bool, only: dict[str, str], name: str | None) -> None:
    """Convert a judgment file; the file endings select the formats.

    .jsonl is JSON Lines, .csv is a table, .qrels is TREC, and .json is a judgment list of the Search
    Relevance Workbench, as its API returns it or as `PUT _plugins/_search_relevance/judgments` takes it.
    SOURCE may also be another table (Parquet, xlsx) or the examples of the Shopping Queries Dataset (ESCI).

    \b
    Example:
      mmsearch judgments convert judgments.jsonl list.json --name "Spring catalog"
      mmsearch judgments convert list.json judgments.jsonl --esci
      mmsearch judgments convert shopping_queries_dataset_examples.parquet us.jsonl \\
          --only product_locale=us
    """
    if target.suffix not in _KINDS:
        raise MmsearchError(f"expected a file that ends in {', '.join(_KINDS)}, got {target}; rename it")
    with messages(say):
        judgments = _read(source, esci, only)
    if target.suffix == ".json":
        exported = workbench.export(judgments, name or target.stem)
        target.write_text(json.dumps(exported.body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if exported.left_out:
            click.echo(
                f"mmsearch: {len(exported.left_out)} queries have no text, which the workbench needs; "
                f"they were left out, the first is {exported.left_out[0]!r}",
                err=True,
            )
    elif target.suffix == ".qrels":
        trec.write_qrels(judgments, target)
    elif target.suffix == ".csv":
        write_csv(judgments, target)
    else:
        write_jsonl(judgments, target)
    kind = _KINDS.get(source.suffix, _OTHER)
    click.echo(f"{len(judgments.queries)} queries: {kind} to {_KINDS[target.suffix]}, {target}")


@command.command("from-events")
@click.argument("target", type=PATH)
@click.option("--events", type=PATH, help="ubi_events as NDJSON.  [default: the index ubi_events]")
@click.option("--queries", type=PATH, help="ubi_queries as NDJSON.  [default: the index ubi_queries]")
@click.option(
    "--action",
    "actions",
    multiple=True,
    default=ubi.ACTIONS,
    show_default=True,
    help="Action that counts as a purchase.",
)
@click.option(
    "--object-id-field",
    "id_fields",
    multiple=True,
    default=ubi.ID_FIELDS,
    show_default=True,
    help="object_id_field that means the product's id; events with others are left out.",
)
@click.option("--opensearch", default=DEFAULT_URL, envvar="MMSEARCH_OPENSEARCH", show_default=True)
@tls
def from_events(
    target: Path,
    events: Path | None,
    queries: Path | None,
    actions: tuple[str, ...],
    id_fields: tuple[str, ...],
    opensearch: str,
) -> None:
    """Turn the purchases of User Behavior Insights into judgments, from its indexes or from files.

    \b
    Example:
      mmsearch judgments from-events judgments.jsonl
      mmsearch judgments from-events judgments.jsonl --events events.ndjson --queries queries.ndjson
    """
    if (events is None) != (queries is None):
        raise MmsearchError(
            "expected both --events and --queries, got one of them; name both, or none for the indexes"
        )
    if events and queries:
        imported = ubi.from_events(
            ubi.read_documents(queries), ubi.read_documents(events), actions, id_fields
        )
    else:
        client = connect(opensearch)
        try:
            imported = ubi.from_events(
                _scan(client, "ubi_queries"), _scan(client, "ubi_events"), actions, id_fields
            )
        finally:
            client.close()
    for reason, count in imported.skipped.items():
        click.echo(f"mmsearch: {count} events have {reason} and were left out", err=True)
    if not imported.taken:
        raise MmsearchError(
            f"expected events with one of the actions {', '.join(actions)}, got none; name others by --action"
        )
    write_jsonl(imported.judgments, target)
    click.echo(
        f"{imported.taken} events became judgments of {len(imported.judgments.queries)} queries: {target}"
    )


@command.command("to-events")
@click.argument("source", type=PATH)
@click.argument("folder", type=PATH)
def to_events(source: Path, folder: Path) -> None:
    """Write purchases as documents for ubi_queries and ubi_events, one a line.

    Example: mmsearch judgments to-events judgments.jsonl events/
    """
    queries, events = ubi.to_events(_read(source, esci=False, only={}))
    folder.mkdir(parents=True, exist_ok=True)
    for name, documents in (("ubi_queries", queries), ("ubi_events", events)):
        lines = "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents)
        (folder / f"{name}.ndjson").write_text(lines, encoding="utf-8")
    click.echo(f"{len(queries)} queries and {len(events)} events: {folder}")


def _read(path: Path, esci: bool, only: dict[str, str]) -> Judgments:
    try:
        if path.suffix == ".json":
            return workbench.read(json.loads(path.read_text(encoding="utf-8")), esci=esci)
        return read_judgments(path, esci=esci, only=only)
    except OSError as error:
        raise MmsearchError(f"expected judgments in {path}, got: {error.strerror}; name a file") from None
    except ValueError as error:
        raise MmsearchError(f"expected JSON in {path}, got: {error}; export it again") from None


def _scan(client: OpenSearch, index: str) -> Iterator[dict[str, Any]]:
    try:
        yield from helpers.scan(client, index=index)
    except OpenSearchException as error:
        raise MmsearchError(
            f"expected the documents of {index}, got: {error}; name files by --events and --queries"
        ) from None
