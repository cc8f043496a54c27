"""`mmsearch delete`: products leave the index by their ids."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import click

from mmsearch.cli.ending import again, ended_by_signals, ending
from mmsearch.cli.options import tls
from mmsearch.clients.opensearch import DEFAULT_URL, ask, connect
from mmsearch.clients.retry import Patience
from mmsearch.errors import CatalogError
from mmsearch.ingest.id_set import IdSet
from mmsearch.ingest.product_index.aliases import require_whole
from mmsearch.ingest.product_index.delete import PAGE, BulkDelete
from mmsearch.ingest.product_index.target import present
from mmsearch.ingest.reporting.losses import NOT_DELETED, by_kind, examples, phrase


@click.command("delete")
@click.option(
    "--ids",
    required=True,
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="File with one id a line, or - for what is piped in.",
)
@click.option("--index", default="products", envvar="MMSEARCH_INDEX", show_default=True)
@click.option("--opensearch", default=DEFAULT_URL, envvar="MMSEARCH_OPENSEARCH", show_default=True)
@tls
@click.option(
    "--give-up-after",
    type=click.FloatRange(0),
    default=600.0,
    show_default=True,
    help="Seconds to wait for a server that has gone away.",
)
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object on one line.")
def command(ids: Path, index: str, opensearch: str, give_up_after: float, as_json: bool) -> None:
    """Delete products from the index by their ids.

    An id that is not there is counted. Exits with 0 when none of them is there any more, 3 when OpenSearch
    refused some, and 1 when it failed; the same command then goes on.

    \b
    Example:
      mmsearch delete --ids sold-out.txt
      zcat gone.txt.gz | mmsearch delete --ids - --index shop
    """
    started = time.monotonic()
    with ending(as_json=as_json) as live, ended_by_signals():
        stats = live.stats
        with closing(connect(opensearch)) as client:
            require_whole(client, index)
            target = present(client, index)
            patience = Patience(
                give_up_after, lambda line: click.echo(f"mmsearch: {line}", err=True), again()
            )
            deleting = BulkDelete(client, target, patience, stats)
            for page in _pages(ids):
                stats.add(read=len(page))
                deleting.delete([{"_id": identifier} for identifier in page])
            patience.call(lambda: ask(client, "POST", f"/{target.index}/_refresh"))
    losses = stats.losses.all()
    code = 3 if losses else 0
    for line in examples(losses):
        click.echo(f"mmsearch: {line}", err=True)
    if as_json:
        summary: dict[str, object] = {
            "read": stats.read,
            "deleted": stats.deleted,
            "missing": stats.missing,
            "not_deleted": stats.losses.count(NOT_DELETED),
            "seconds": round(time.monotonic() - started, 3),
            "exit_code": code,
        }
        click.echo(json.dumps(summary | ({"reasons": by_kind(losses)} if losses else {})))
    else:
        refused = f", {phrase(losses, NOT_DELETED)}" if losses else ""
        click.echo(f"{stats.deleted} deleted, {stats.missing} not there{refused}")
    raise SystemExit(code)


def _pages(path: Path) -> Iterator[list[str]]:
    """The ids of a file, each once, by as many as one request takes. Raises CatalogError."""
    seen = IdSet()
    with ExitStack() as opened:
        try:
            file = sys.stdin if str(path) == "-" else opened.enter_context(path.open(encoding="utf-8-sig"))
            ids = filter(None, (line.strip() for line in file))
            while page := list(itertools.islice(ids, PAGE)):
                yield list(itertools.compress(page, seen.add(page)))
        except OSError as error:
            raise CatalogError(f"expected a file of ids at {path}, got: {error.strerror}") from None
        except UnicodeDecodeError:
            raise CatalogError(f"expected UTF-8 in {path}, got other bytes; save it as UTF-8") from None
