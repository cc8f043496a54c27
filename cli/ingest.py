"""`mmsearch ingest` and `mmsearch retry`: a catalogue, or what was rejected of it, into the index."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import sys
from pathlib import Path
from typing import NoReturn

import click

from ..ingest.connect import DEFAULT_URL, connect
from ..ingest.display import Display
from ..ingest.encode import DEFAULT_TRITON, FIELD_OUTPUTS, Encoder
from ..ingest.errors import IngestError
from ..ingest.job import Job
from ..ingest.run import run
from ..ingest.tally import Report


def _renames(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """OURS=THEIRS, several times."""
    found = {}
    for value in values:
        ours, _, theirs = value.partition("=")
        if not ours or not theirs:
            raise click.BadParameter(f"expected OURS=THEIRS, such as title=product_name, got {value!r}")
        found[ours] = theirs
    return found


@click.command("ingest")
@click.argument("catalogue")
@click.option("--index", default="products", envvar="MMSEARCH_INDEX", show_default=True)
@click.option("--opensearch", default=DEFAULT_URL, envvar="MMSEARCH_OPENSEARCH", show_default=True)
@click.option("--triton", default=DEFAULT_TRITON, envvar="MMSEARCH_TRITON", show_default=True)
@click.option(
    "--image-root",
    type=click.Path(path_type=Path),
    help="Folder that pictures lie in and may not leave.  [default: the catalogue's]",
)
@click.option(
    "--on-bad-image",
    type=click.Choice(["reject", "text-only"]),
    default="reject",
    show_default=True,
    help="text-only takes the product without the picture; a later run tries it again.",
)
@click.option(
    "--map",
    "renames",
    metavar="OURS=THEIRS",
    callback=_renames,
    multiple=True,
    help="A field of ours and its name there.",
)
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
@click.option(
    "--processes",
    type=click.IntRange(0, 64),
    default=max(1, (os.cpu_count() or 2) // 2),
    show_default=True,
    help="Processes that decode pictures; 0 decodes in this one.",
)
@click.option("--batch", type=click.IntRange(1, 1024), default=32, show_default=True, help="Rows a request.")
@click.option(
    "--give-up-after",
    type=click.FloatRange(0),
    default=600.0,
    show_default=True,
    help="Seconds to wait for a server that has gone away.",
)
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object on one line.")
def command(
    catalogue: str,
    index: str,
    opensearch: str,
    triton: str,
    image_root: Path | None,
    on_bad_image: str,
    renames: dict[str, str],
    rejects: Path | None,
    vectors: str | None,
    shards: int | None,
    knn_engine: str,
    processes: int,
    batch: int,
    give_up_after: float,
    as_json: bool,
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
        renames=renames,
        processes=processes,
        batch=batch,
        patience=give_up_after,
        resume=shlex.join(["mmsearch", *sys.argv[1:]]),
    )
    _finish(ingest(job, opensearch, triton), job, as_json=as_json)


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


def _finish(report: Report, job: Job, *, as_json: bool) -> NoReturn:
    if report.rejected:
        click.echo(
            f"mmsearch: {report.rejected} rejected, told in {job.rejects}; mend them there and run: "
            f"mmsearch retry {shlex.quote(str(job.rejects))}",
            err=True,
        )
    click.echo(json.dumps(dataclasses.asdict(report)) if as_json else report.sentence())
    raise SystemExit(report.exit_code)


def _fields(vectors: str | None) -> tuple[str, ...] | None:
    if vectors is None:
        return None
    names = tuple(name.strip() for name in vectors.split(",") if name.strip())
    unknown = [name for name in names if name not in FIELD_OUTPUTS]
    if unknown or not names:
        raise click.BadParameter(
            f"expected some of {', '.join(FIELD_OUTPUTS)}, got {vectors!r}", param_hint="--vectors"
        )
    return names
