"""`mmsearch dashboards`: saved objects for OpenSearch Dashboards, and the index that feeds them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from mmsearch.cli.options import tls
from mmsearch.clients.credentials import DashboardsAccess
from mmsearch.clients.opensearch import DEFAULT_URL, HttpError, ask, connect
from mmsearch.errors import AwayError, MmsearchError
from mmsearch.search import dashboards, query_log

PATH = click.Path(path_type=Path)
PICTURES = click.option(
    "--pictures", metavar="URL", help=f"URL of a product's picture.  [default: {dashboards.PICTURES}]"
)
PRODUCTS = click.option("--products", metavar="PATTERN", help="Indexes with products.  [default: products*]")


@click.group("dashboards")
def command() -> None:
    """Create saved objects for OpenSearch Dashboards and their index.

    Example: mmsearch dashboards export inspection.ndjson
    """


@command.command("export")
@click.argument("target", type=PATH, required=False)
@PICTURES
@PRODUCTS
def export(target: Path | None, pictures: str | None, products: str | None) -> None:
    """Write the saved objects, for import under Dashboards Management, Saved objects.

    \b
    Example:
      mmsearch dashboards export inspection.ndjson --pictures "https://shop.example/{{value}}"
    """
    text = dashboards.ndjson(dashboards.objects(pictures=pictures, products=products))
    if target:
        target.write_text(text, encoding="utf-8")
        click.echo(f"{len(text.splitlines())} objects: {target}")
    else:
        click.echo(text, nl=False)


@command.command("import")
@click.option(
    "--dashboards", "url", default="http://127.0.0.1:5601", envvar="MMSEARCH_DASHBOARDS", show_default=True
)
@click.option(
    "--user",
    default="",
    envvar="MMSEARCH_DASHBOARDS_USER",
    help="User name; the password comes from MMSEARCH_DASHBOARDS_PASSWORD or the file in "
    "MMSEARCH_DASHBOARDS_PASSWORD_FILE.",
)
@click.option("--tenant", default="", help="Tenant of the security plugin.")
@PICTURES
@PRODUCTS
@tls
def import_(url: str, user: str, tenant: str, pictures: str | None, products: str | None) -> None:
    """Import the saved objects into a Dashboards server, replacing those of an earlier import.

    \b
    Example:
      mmsearch dashboards import --dashboards http://127.0.0.1:5601
      mmsearch dashboards import --dashboards https://dashboards.example:5601 --user admin --ca-file ca.pem
    """
    saved = dashboards.objects(pictures=pictures, products=products)
    access = dataclasses.replace(DashboardsAccess.from_environment(), user=user)
    count = dashboards.send(saved, url, access=access, tenant=tenant)
    click.echo(f"{count} objects imported; open {url.rstrip('/')}/app/dashboards#/view/mmsearch-inspection")


@command.command("log")
@click.option(
    "--summary", type=click.File("r"), help="The summary of `mmsearch ingest --json`; - reads a pipe."
)
@click.option("--rejects", type=PATH, help="The rejects file of an ingest.")
@click.option("--encoder", is_flag=True, help="Also record the current encoder statistics of the plugin.")
@click.option(
    "--index", default="products", envvar="MMSEARCH_INDEX", show_default=True, help="Index that was ingested."
)
@click.option("--opensearch", default=DEFAULT_URL, envvar="MMSEARCH_OPENSEARCH", show_default=True)
@tls
def log(summary: Any, rejects: Path | None, encoder: bool, index: str, opensearch: str) -> None:
    """Record ingest and encoder statistics in the index mmsearch-log for the dashboard.

    `mmsearch search --log` and `mmsearch ui --log` record searches.

    \b
    Example:
      mmsearch ingest catalog.jsonl --json | mmsearch dashboards log --summary - --encoder
    """
    documents: list[dict[str, Any]] = []
    if summary:
        try:
            documents.append(query_log.of_ingest(json.loads(summary.read()), index=index))
        except (ValueError, AttributeError):
            raise MmsearchError(
                "expected the one line of `mmsearch ingest --json` as --summary, got other text"
            ) from None
    if rejects:
        try:
            with rejects.open("rb") as lines:
                documents += query_log.of_rejects(lines, index=index)
        except OSError as error:
            raise MmsearchError(f"expected a rejects file at {rejects}, got: {error.strerror}") from None
    client = connect(opensearch)
    try:
        if encoder:
            try:
                documents += query_log.of_stats(ask(client, "GET", "/_plugins/_mmsearch/stats"))
            except (AwayError, HttpError) as error:
                raise MmsearchError(
                    f"expected the plugin's statistics from {opensearch}, got: {error}; install the plugin "
                    f"there"
                ) from None
        if not documents:
            raise MmsearchError("expected data to log, got none; give --summary, --rejects or --encoder")
        count = query_log.write(client, documents)
    finally:
        client.close()
    click.echo(f"{count} documents in {query_log.INDEX}")
