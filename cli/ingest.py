"""`mmsearch ingest`: a catalogue into the index."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from pathlib import Path
from typing import NoReturn

import click

from ..ingest.connect import connect
from ..ingest.display import Display
from ..ingest.encode import FIELD_OUTPUTS, Encoder
from ..ingest.errors import IngestError
from ..ingest.job import Job
from ..ingest.run import run
from ..ingest.tally import Report
from . import options


@click.command("ingest")
@click.argument("catalogue")
@options.servers
@options.working
@click.option(
    "--rejects",
    type=click.Path(path_type=Path),
    help="File for what is not taken.  [default: CATALOGUE.rejects.jsonl beside it]",
)
@click.option(
    "--vectors",
    help=f"Vector fields of a new index, of {', '.join(FIELD_OUTPUTS)}.  [default: embedding]",
)
@click.option("--shards", type=click.IntRange(1), help="Shards of a new index.  [default: 1]")
@click.option("--knn-engine", type=click.Choice(["lucene", "faiss"]), default="lucene", show_default=True)
def command(
    catalogue: str,
    index: str,
    opensearch: str,
    triton: str,
    image_root: Path | None,
    on_bad_image: str,
    renamed: dict[str, str],
    processes: int,
    batch: int,
    give_up_after: float,
    as_json: bool,
    rejects: Path | None,
    vectors: str | None,
    shards: int | None,
    knn_engine: str,
) -> None:
    """Encode a catalogue (JSON Lines) by Triton and index it in OpenSearch.

    Run again, it encodes only what has changed. Exits with 0 when all is in, 3 when some lines were rejected,
    and 1 when it failed; the same command then goes on where it stopped.

    \b
    Example:
      mmsearch ingest catalog.jsonl
      mmsearch ingest catalog.jsonl --map title=product_name --on-bad-image text-only --json
    """
    folder = Path() if catalogue == "-" else Path(catalogue).parent
    stem = "stdin" if catalogue == "-" else Path(catalogue).name.split(".", maxsplit=1)[0]
    job = Job(
        catalogue=catalogue,
        image_root=(image_root or folder).resolve(),
        rejects=rejects or folder / f"{stem}.rejects.jsonl",
        index=index,
        fields=_fields(vectors),
        engine=knn_engine,
        shards=shards,
        text_only=on_bad_image == "text-only",
        renames=renamed,
        processes=processes,
        batch=batch,
        patience=give_up_after,
        resume=again(),
    )
    finish(ingest(job, opensearch, triton), job.rejects, as_json=as_json)


def ingest(job: Job, opensearch: str, triton: str) -> Report:
    """Run the job with a bar on a terminal."""
    encoder = Encoder(triton)
    client = connect(opensearch)
    try:
        with Display() as display:
            return run(job, encoder, client, say=display.say, watch=display.watch)
    except KeyboardInterrupt:
        raise IngestError(f"stopped by a key; what is in stays in, go on with: {job.resume}") from None
    finally:
        client.close()
        encoder.close()


def again() -> str:
    """The command that was given, to be given again."""
    return shlex.join(["mmsearch", *sys.argv[1:]])


def finish(report: Report, rejects: Path, *, as_json: bool) -> NoReturn:
    """Print the summary, after where the rejects are, and end with the exit code."""
    if report.rejected:
        click.echo(
            f"mmsearch: {report.rejected} rejected, told in {rejects}; mend them there and run: "
            f"mmsearch retry {shlex.quote(str(rejects))}",
            err=True,
        )
    click.echo(json.dumps(dataclasses.asdict(report)) if as_json else report.sentence())
    raise SystemExit(report.exit_code)


def _fields(vectors: str | None) -> tuple[str, ...] | None:
    if vectors is None:
        return None
    names = tuple(name.strip() for name in vectors.split(",") if name.strip())
    if not names or not set(names) <= set(FIELD_OUTPUTS):
        raise click.BadParameter(
            f"expected some of {', '.join(FIELD_OUTPUTS)}, got {vectors!r}", param_hint="--vectors"
        )
    return names
