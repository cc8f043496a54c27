"""`mmsearch ingest`: index a catalog."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import click

from mmsearch.api.client import Client, Format, OnBadImage
from mmsearch.api.ingest_report import IngestReport
from mmsearch.api.ingestion import Watch, logger, require_compatible, vector_fields
from mmsearch.cli import options
from mmsearch.cli.dry_run import lines as page
from mmsearch.cli.ending import (
    Ending,
    again,
    ended_by_signals,
    ending,
    finish,
    messages,
    say,
    stopped,
    would,
)
from mmsearch.cli.in_container import fitted
from mmsearch.clients.opensearch import connect
from mmsearch.clients.tracing import exported
from mmsearch.clients.triton import Encoder
from mmsearch.errors import ArgumentError, MmsearchError
from mmsearch.ingest.job import Job
from mmsearch.ingest.product_index.storage import StorageOptions
from mmsearch.ingest.reporting.display import Display
from mmsearch.ingest.reporting.json_log import JsonLog
from mmsearch.ingest.reporting.metrics import MetricsFile
from mmsearch.ingest.reporting.progress import IngestProgress
from mmsearch.ingest.reporting.stats import Report
from mmsearch.ingest.runner import run
from mmsearch.ingest.schema.fields import SchemaOptions
from mmsearch.products.catalog import FORMATS
from mmsearch.products.rejects import beside


def _slice(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int]:
    number, _, count = (value or "1/1").partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise click.BadParameter(f"expected I/N with I from 1 to N, such as 2/4, got {value!r}")
    return int(number), int(count)


def _share(context: click.Context, parameter: click.Parameter, value: str) -> float:
    try:
        share = float(value.removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1 or not value.endswith("%"):
        raise click.BadParameter(f"expected a share such as 10%, got {value!r}")
    return share


def _limit(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Return a count as an int, a share as a float."""
    if value is None:
        return None
    if value.isdecimal():
        return int(value)
    if not value.endswith("%"):
        raise click.BadParameter(f"expected a number such as 100 or a share such as 5%, got {value!r}")
    return _share(context, parameter, value)


@click.command("ingest")
@click.argument("catalog")
@options.servers
@options.working
@options.preset
@click.option(
    "--rejects",
    type=click.Path(path_type=Path),
    help="File for rejected products.  [default: in the catalog's folder, one per catalog and slice: "
    "shop.rejects.jsonl, shop.csv.rejects.jsonl, shop.2-of-4.rejects.jsonl]",
)
@options.vectors
@options.new_index
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Format of the catalog.  [default: detected from its content]",
)
@click.option("--limit", type=click.IntRange(1), help="Read only the first lines, at most this many.")
@click.option(
    "--slice",
    "part",
    metavar="I/N",
    callback=_slice,
    help="Read one of N parts of the catalog, by a hash of the id, so that N processes share the work.",
)
@click.option(
    "--max-rejects", metavar="N|P%", callback=_limit, help="Stop if more products than this are rejected."
)
@click.option(
    "--max-without-image",
    metavar="N|P%",
    callback=_limit,
    help="With --on-bad-image text-only: stop if more products than this are indexed without a picture.",
)
@click.option(
    "--partial",
    is_flag=True,
    help="Update only the fields that each line contains, in products that exist.",
)
@click.option("--sync", is_flag=True, help="Delete products that are no longer in the catalog.")
@click.option(
    "--sync-at-most",
    metavar="P%",
    default="10%",
    show_default=True,
    callback=_share,
    help="Delete nothing if --sync would delete more than this share of the index.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="ray distributes the work over a Ray cluster, or over local processes without one.",
)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Workers on Ray.")
@click.option(
    "--force",
    is_flag=True,
    help="Encode and write all products again, also unchanged ones; use it after documents were edited by "
    "hand.",
)
@click.option(
    "--wait-for-servers",
    "wait",
    is_flag=True,
    help="Wait for servers that are still starting, for at most --give-up-after seconds; for containers.",
)
@click.option(
    "--metrics-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write Prometheus metrics to this file, for the node exporter's textfile collector.",
)
@click.option(
    "--log-json", is_flag=True, help="Write stderr as JSON, one object per line, without a progress bar."
)
@click.option(
    "--dry-run", is_flag=True, help="Check every line and picture, but encode, index and delete nothing."
)
def command(
    catalog: str,
    index: str,
    opensearch: str,
    triton: str,
    image_root: Path | None,
    on_bad_image: str,
    fetch_images: bool,
    renamed: dict[str, str],
    preset: str | None,
    processes: int | None,
    batch: int,
    give_up_after: float,
    as_json: bool,
    rejects: Path | None,
    vectors: str | None,
    shards: int | None,
    storage: StorageOptions,
    schema: SchemaOptions,
    form: str | None,
    limit: int | None,
    part: tuple[int, int],
    max_rejects: float | None,
    max_without_image: float | None,
    partial: bool,
    sync: bool,
    sync_at_most: float,
    engine: str,
    workers: int,
    force: bool,
    wait: bool,
    metrics_file: Path | None,
    log_json: bool,
    dry_run: bool,
) -> None:
    """Encode a catalog with Triton and index it in OpenSearch.

    CATALOG is JSON Lines, JSON, XML, CSV, TSV, xlsx or Parquet, compressed or not, or - for standard input.
    Format and encoding are detected from its content.

    A second run encodes only what has changed. The exit code is 0 if all products are indexed, 3 if some
    were rejected, and 1 if the run failed; run the command again to continue.

    \b
    Example:
      mmsearch ingest catalog.jsonl
      mmsearch ingest shop.csv.gz --map title=product_name --on-bad-image text-only --json
      zcat all.jsonl.gz | mmsearch ingest - --image-root pictures --slice 1/4
      mmsearch ingest prices.jsonl --partial
      mmsearch ingest catalog.jsonl --dry-run
    """
    share = sync_at_most if sync else None
    try:
        require_compatible(
            sync=share, limit=limit, partial=partial, text_only=on_bad_image == "text-only", force=force
        )
    except ArgumentError as error:
        raise click.UsageError(str(error)) from None
    if engine == "ray" and (metrics_file or log_json):
        raise click.UsageError(
            "expected --engine local with --metrics-file or --log-json, got ray; leave them out"
        )
    fields = fields_of(vectors)
    file = rejects or beside(catalog, part, dry_run=dry_run)
    with ending(as_json=as_json) as live, Client(opensearch, triton=triton, index=index) as shop:

        def begin(watch: Watch | None = None) -> IngestReport:
            return shop.ingest(
                catalog,
                image_root=image_root,
                on_bad_image=cast(OnBadImage, on_bad_image),
                fetch_images=fetch_images,
                map=renamed,
                preset=preset,
                format=cast(Format | None, form),
                rejects=file,
                max_rejects=max_rejects,
                max_without_image=max_without_image,
                partial=partial,
                sync=share,
                force=force,
                dry_run=dry_run,
                limit=limit,
                slice=part,
                vectors=fields,
                shards=shards,
                language=schema.language,
                mapping=schema.files.mapping,
                settings=schema.files.settings,
                attribute_fields=schema.attribute_fields,
                knn_engine=cast(Any, storage.engine),
                knn_encoder=cast(Any, storage.encoder),
                knn_mode=cast(Any, storage.mode),
                engine=cast(Any, engine),
                workers=workers,
                processes=processes,
                batch=batch,
                give_up_after=give_up_after,
                wait_for_servers=wait,
                resume=again(),
                progress=watch,
            )

        if engine == "ray":
            with messages(say):
                report: Report = begin()
        else:
            report = shown(begin, index, file, metrics_file=metrics_file, log_json=log_json, live=live)
    shown_before = dry_run and not as_json and report.survey is not None
    if shown_before and report.survey:
        click.echo("\n".join(page(report, report.survey)))
    elif dry_run and not as_json:
        click.echo(would(report))
    finish(report, file, as_json=as_json, log_json=log_json, shown=shown_before)


def ingest(job: Job, opensearch: str, triton: str, *, live: Ending | None = None) -> Report:
    """Run the job of another command, with the output of `mmsearch ingest`."""

    def begin(watch: Watch) -> Report:
        with closing(Encoder(triton)) as encoder, closing(connect(opensearch)) as client:
            return run(job, encoder, client, say=logger.warning, watch=watch)

    return shown(begin, job.index, job.rejects, live=live)


def shown(
    begin: Callable[[Watch], Report],
    index: str,
    rejects: Path,
    *,
    metrics_file: Path | None = None,
    log_json: bool = False,
    live: Ending | None = None,
) -> Report:
    """Run the job that `begin` starts, with a progress bar or JSON lines, and with metrics if requested."""
    metrics = MetricsFile(metrics_file, index) if metrics_file else None
    live, code = live or Ending(as_json=False), 1
    log = JsonLog() if log_json else None
    try:
        with ended_by_signals(), exported(), log or Display() as display, messages(display.say):

            def watch(this: IngestProgress) -> None:
                live.watch(this)
                display.watch(this)
                if metrics:
                    metrics.watch(live.stats)

            report = begin(watch)
        code = report.exit_code
        if log:
            log.log("finished", report.sentence(), {"rejects": str(rejects), **report.summary()})
        return report
    except KeyboardInterrupt as stop:
        error = stopped(stop, again())
        _log_failure(log, error, live)
        raise error from None
    except MmsearchError as error:
        _log_failure(log, error, live)
        raise
    finally:
        if metrics:
            metrics.write(live.stats, running=False, exit_code=code)


def _log_failure(log: JsonLog | None, error: MmsearchError, live: Ending) -> None:
    """With `--log-json`, log the message as JSON and exit, because stderr contains only JSON."""
    if log:
        log.log("failed", fitted(error.sentence()), level="error")
        live.failed(error.sentence())
        raise SystemExit(1) from None


def fields_of(vectors: str | None) -> tuple[str, ...] | None:
    """Return the vector fields of --vectors; None without the option."""
    if vectors is None:
        return None
    try:
        return vector_fields([name.strip() for name in vectors.split(",") if name.strip()])
    except ArgumentError as error:
        raise click.BadParameter(str(error), param_hint="--vectors") from None
