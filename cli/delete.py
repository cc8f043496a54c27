"""`mmsearch delete`: delete products from the index by their ids."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mmsearch.api.client import Client
from mmsearch.cli.ending import again, ended_by_signals, ending, messages, say
from mmsearch.cli.options import tls
from mmsearch.clients.opensearch import DEFAULT_URL
from mmsearch.ingest.reporting.losses import examples
from mmsearch.products.formats.text_lines import text_lines


@click.command("delete")
@click.option(
    "--ids",
    required=True,
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="File with one id per line, compressed or not, or - for standard input.",
)
@click.option("--index", default="products", envvar="MMSEARCH_INDEX", show_default=True)
@click.option("--opensearch", default=DEFAULT_URL, envvar="MMSEARCH_OPENSEARCH", show_default=True)
@tls
@click.option(
    "--give-up-after",
    type=click.FloatRange(0),
    default=600.0,
    show_default=True,
    help="Seconds to wait for an unreachable server.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one line of JSON.")
def command(ids: Path, index: str, opensearch: str, give_up_after: float, as_json: bool) -> None:
    """Delete products from the index by their ids.

    Ids that are not in the index are counted. The exit code is 0 if all products are gone, 3 if OpenSearch
    refused to delete some, and 1 if the command failed; run it again to continue.

    \b
    Example:
      mmsearch delete --ids sold-out.txt
      zcat gone.txt.gz | mmsearch delete --ids - --index shop
    """
    with (
        ending(as_json=as_json) as live,
        ended_by_signals(),
        messages(say),
        Client(opensearch, index=index) as shop,
    ):
        report = shop.delete(
            text_lines(str(ids), "a file of ids", say),
            give_up_after=give_up_after,
            resume=again(),
            progress=live.watch,
        )
    for line in examples(report.losses):
        say(line)
    click.echo(json.dumps(report.summary()) if as_json else report.sentence())
    raise SystemExit(report.exit_code)
