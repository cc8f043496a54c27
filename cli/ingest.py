"""`mmsearch ingest`: a catalogue into the index."""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import click

from ..ingest.catalogue import FORMATS
from ..ingest.connect import connect
from ..ingest.display import Display
from ..ingest.encode import Encoder
from ..ingest.errors import IngestError, MmsearchError
from ..ingest.job import Job
from ..ingest.jsonlog import JsonLog
from ..ingest.metrics import MetricsFile
from ..ingest.on_ray import run_on_ray
from ..ingest.run import Run, run
from ..ingest.spans import exported
from ..ingest.storage import StorageOptions
from ..ingest.tally import Report, Tally
from . import options
from .losses import by_reason


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


def _limit(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, float] | None:
    """A count, or a share of the lines."""
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
    help="File for what is not taken.  [default: CATALOGUE.rejects.jsonl beside it]",
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
    max_rejects: tuple[int, float] | None,
    sync: bool,
    sync_at_most: float,
    engine: str,
    workers: int,
    force: bool,
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
      mmsearch ingest catalog.jsonl --dry-run
    """
    if sync and limit is not None:
        raise click.UsageError("expected the whole catalogue for --sync, got --limit; leave one of them out")
    if engine == "ray" and (metrics_file or log_json):
        raise click.UsageError(
            "expected --engine local with --metrics-file or --log-json, got ray; leave them out"
        )
    folder = Path() if catalogue == "-" else Path(catalogue).parent
    stem = "stdin" if catalogue == "-" else Path(catalogue).name.split(".", maxsplit=1)[0]
    job = Job(
        catalogue=catalogue,
        image_root=(image_root or folder).resolve(),
        rejects=rejects or folder / f"{stem}.rejects.jsonl",
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
        sync=sync_at_most if sync else None,
        dry_run=dry_run,
        force=force,
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
        report = ingest(job, opensearch, triton, metrics_file=metrics_file, log_json=log_json)
    if dry_run:
        click.echo(would(report))
    finish(report, job.rejects, as_json=as_json, log_json=log_json)


def ingest(
    job: Job, opensearch: str, triton: str, *, metrics_file: Path | None = None, log_json: bool = False
) -> Report:
    """Run the job, with a bar on a terminal or with JSON lines, and with metrics where they are wanted."""
    metrics = MetricsFile(metrics_file, job.index) if metrics_file else None
    tally, code = Tally(), 1
    log = JsonLog() if log_json else None
    try:
        with (
            exported(),
            closing(Encoder(triton)) as encoder,
            closing(connect(opensearch)) as client,
            log or Display() as display,
        ):

            def watch(this: Run) -> None:
                nonlocal tally
                tally = this.tally
                display.watch(this)
                if metrics:
                    metrics.watch(tally)

            report = run(job, encoder, client, say=display.say, watch=watch)
        code = report.exit_code
        if log:
            log.log("finished", report.sentence(), {"rejects": str(job.rejects), **report.summary()})
        return report
    except KeyboardInterrupt:
        raise IngestError(f"stopped by a key; what is in stays in, go on with: {job.resume}") from None
    except MmsearchError as error:
        if not log:
            raise
        log.log("failed", str(error), level="error")
        raise SystemExit(1) from None
    finally:
        if metrics:
            metrics.write(tally, running=False, exit_code=code)


def would(report: Report) -> str:
    """What a run would do, and how many are rejected for what."""
    changed = report.indexed - report.unchanged - report.encoded
    lines = [
        f"nothing was stored; a run would encode {report.encoded}, update {changed} and leave "
        f"{report.unchanged} as they are"
    ]
    lines += [f"{count:8} rejected: {reason}" for reason, count in sorted(report.reasons.items())]
    return "\n".join(lines)


def again() -> str:
    """The command that was given, to be given again."""
    return shlex.join(["mmsearch", *sys.argv[1:]])


def finish(report: Report, rejects: Path, *, as_json: bool, log_json: bool = False) -> NoReturn:
    """Print the summary, after where the rejects are, and end with the exit code."""
    if report.rejected and not log_json:
        click.echo(
            f"mmsearch: {report.rejected} rejected, told in {rejects}; mend them there and run: "
            f"mmsearch retry {shlex.quote(str(rejects))}",
            err=True,
        )
    if not log_json:
        for line in by_reason(report):
            click.echo(line, err=True)
    click.echo(json.dumps(report.summary()) if as_json else report.sentence())
    raise SystemExit(report.exit_code)


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
