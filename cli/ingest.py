"""`mmsearch ingest`: a catalogue into the index."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import click

from ..ingest.catalogue import FORMATS
from ..ingest.connect import connect
from ..ingest.display import Display
from ..ingest.encode import Encoder
from ..ingest.errors import MmsearchError
from ..ingest.job import Job
from ..ingest.jsonlog import JsonLog
from ..ingest.metrics import MetricsFile
from ..ingest.on_ray import run_on_ray
from ..ingest.rejects import Limit, beside
from ..ingest.run import Run, run
from ..ingest.spans import exported
from ..ingest.storage import StorageOptions
from ..ingest.tally import Report
from . import options
from .ending import Ending, again, ended_by_signals, ending, finish, stopped, would
from .in_container import fitted


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


def _limit(context: click.Context, parameter: click.Parameter, value: str | None) -> Limit | None:
    if value is None:
        return None
    if value.isdecimal():
        return int(value), 1.0
    if not value.endswith("%"):
        raise click.BadParameter(f"expected a number such as 100 or a share such as 5%, got {value!r}")
    return sys.maxsize, _share(context, parameter, value)


@click.command("ingest")
@click.argument("catalogue")
@options.servers
@options.working
@click.option(
    "--rejects",
    type=click.Path(path_type=Path),
    help="File for what is not taken.  [default: beside the catalogue, one for each catalogue and slice, as "
    "shop.rejects.jsonl, shop.csv.rejects.jsonl, shop.2-of-4.rejects.jsonl]",
)
@options.vectors
@options.new_index
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="What the catalogue is.  [default: Parquet by its content, CSV and TSV by its name, else jsonl]",
)
@click.option("--limit", type=click.IntRange(1), help="Take so many lines only.")
@click.option(
    "--slice",
    "part",
    metavar="I/N",
    callback=_slice,
    help="Take the I-th of N parts, by a hash of the id; N processes then share the work.",
)
@click.option(
    "--max-rejects", metavar="N|P%", callback=_limit, help="Give up when more lines than these are rejected."
)
@click.option(
    "--max-without-image",
    metavar="N|P%",
    callback=_limit,
    help="With --on-bad-image text-only: give up when more products than these come in without a picture.",
)
@click.option(
    "--partial",
    is_flag=True,
    help="Each line changes the fields that it carries, of a product that is there, and leaves the others.",
)
@click.option("--sync", is_flag=True, help="Delete products that are no longer in the catalogue.")
@click.option(
    "--sync-at-most",
    metavar="P%",
    default="10%",
    show_default=True,
    callback=_share,
    help="Delete nothing when it would be more than this share of the index.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="ray spreads the work over a Ray cluster, or over processes where there is none.",
)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Workers on Ray.")
@click.option(
    "--force",
    is_flag=True,
    help="Encode and write every product again, also those that are unchanged: for an index whose documents "
    "were changed by hand.",
)
@click.option(
    "--wait-for-servers",
    "wait",
    is_flag=True,
    help="Wait for servers that are still starting, as long as --give-up-after says; for containers.",
)
@click.option(
    "--metrics-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write Prometheus metrics there, whole files only, for the node exporter's textfile collector.",
)
@click.option("--log-json", is_flag=True, help="What is said on stderr as JSON, one object a line; no bar.")
@click.option(
    "--dry-run", is_flag=True, help="Check every line and picture; encode, store and delete nothing."
)
def command(
    catalogue: str,
    index: str,
    opensearch: str,
    triton: str,
    image_root: Path | None,
    on_bad_image: str,
    fetch_images: bool,
    renamed: dict[str, str],
    processes: int,
    batch: int,
    give_up_after: float,
    as_json: bool,
    rejects: Path | None,
    vectors: str | None,
    shards: int | None,
    storage: StorageOptions,
    form: str | None,
    limit: int | None,
    part: tuple[int, int],
    max_rejects: Limit | None,
    max_without_image: Limit | None,
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
    """Encode a catalogue by Triton and index it in OpenSearch.

    CATALOGUE is JSON Lines, CSV, TSV or Parquet, compressed or not, or - for what is piped in.

    Run again, it encodes only what has changed. Exits with 0 when all is in, 3 when some lines were rejected,
    and 1 when it failed; the same command then goes on where it stopped.

    \b
    Example:
      mmsearch ingest catalog.jsonl
      mmsearch ingest shop.csv.gz --map title=product_name --on-bad-image text-only --json
      zcat all.jsonl.gz | mmsearch ingest - --image-root pictures --slice 1/4
      mmsearch ingest prices.jsonl --partial
      mmsearch ingest catalog.jsonl --dry-run
    """
    if sync and limit is not None:
        raise click.UsageError("expected the whole catalogue for --sync, got --limit; leave one of them out")
    if partial and (sync or on_bad_image == "text-only"):
        raise click.UsageError(
            "expected --partial without --sync and --on-bad-image text-only, which would take away what the "
            "lines do not carry, got both; leave them out"
        )
    if partial and force:
        raise click.UsageError("expected whole products for --force, got --partial; leave one of them out")
    if engine == "ray" and (metrics_file or log_json):
        raise click.UsageError(
            "expected --engine local with --metrics-file or --log-json, got ray; leave them out"
        )
    folder = Path() if catalogue == "-" else Path(catalogue).parent
    with ending(as_json=as_json) as live:
        job = Job(
            catalogue=catalogue,
            image_root=(image_root or folder).resolve(),
            rejects=rejects or beside(catalogue, part, dry_run=dry_run),
            index=index,
            fields=fields_of(vectors),
            storage=storage,
            shards=shards,
            text_only=on_bad_image == "text-only",
            fetch=fetch_images,
            renames=renamed,
            processes=processes,
            batch=batch,
            patience=give_up_after,
            resume=again(),
            format=form,
            limit=limit,
            slice=part,
            max_rejects=max_rejects,
            max_without_image=max_without_image,
            sync=sync_at_most if sync else None,
            dry_run=dry_run,
            partial=partial,
            force=force,
            wait=wait,
        )
        if engine == "ray":
            report = run_on_ray(
                job,
                opensearch,
                triton,
                workers=workers,
                say=lambda line: click.echo(f"mmsearch: {line}", err=True),
            )
        else:
            report = ingest(job, opensearch, triton, metrics_file=metrics_file, log_json=log_json, live=live)
    if dry_run and not as_json:
        click.echo(would(report))
    finish(report, job.rejects, as_json=as_json, log_json=log_json)


def ingest(
    job: Job,
    opensearch: str,
    triton: str,
    *,
    metrics_file: Path | None = None,
    log_json: bool = False,
    live: Ending | None = None,
) -> Report:
    """Run the job, with a bar on a terminal or with JSON lines, and with metrics where they are wanted."""
    metrics = MetricsFile(metrics_file, job.index) if metrics_file else None
    live, code = live or Ending(as_json=False), 1
    log = JsonLog() if log_json else None
    try:
        with (
            ended_by_signals(),
            exported(),
            closing(Encoder(triton)) as encoder,
            closing(connect(opensearch)) as client,
            log or Display() as display,
        ):

            def watch(this: Run) -> None:
                live.tally, live.bottleneck = this.tally, this.bottleneck()
                display.watch(this)
                if metrics:
                    metrics.watch(live.tally)

            report = run(job, encoder, client, say=display.say, watch=watch)
        code = report.exit_code
        if log:
            log.log("finished", report.sentence(), {"rejects": str(job.rejects), **report.summary()})
        return report
    except KeyboardInterrupt as stop:
        error = stopped(stop, job.resume)
        _log_failure(log, error, live)
        raise error from None
    except MmsearchError as error:
        _log_failure(log, error, live)
        raise
    finally:
        if metrics:
            metrics.write(live.tally, running=False, exit_code=code)


def _log_failure(log: JsonLog | None, error: MmsearchError, live: Ending) -> None:
    """With `--log-json` stderr holds JSON alone, so that the sentence is said there and nowhere else."""
    if log:
        log.log("failed", fitted(str(error)), level="error")
        live.failed(str(error))
        raise SystemExit(1) from None


def fields_of(vectors: str | None) -> tuple[str, ...] | None:
    """The vector fields that --vectors names; None where it is not given."""
    if vectors is None:
        return None
    names = tuple(name.strip() for name in vectors.split(",") if name.strip())
    if not set(names) <= set(options.VECTORS) or "embedding" not in names:
        raise click.BadParameter(
            f"expected embedding, and if wanted others of {', '.join(options.VECTORS)}, got {vectors!r}",
            param_hint="--vectors",
        )
    return names
