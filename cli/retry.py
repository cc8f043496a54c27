"""`mmsearch retry`: ingest rejected lines again."""

from __future__ import annotations

from pathlib import Path

import click

from mmsearch.cli import options
from mmsearch.cli.ending import again, ending, finish
from mmsearch.cli.ingest import ingest
from mmsearch.ingest.job import Job
from mmsearch.products.rejects import Rejected


@click.command("retry")
@click.argument("rejects", type=click.Path(path_type=Path))
@options.servers
@options.working
def command(
    rejects: Path,
    index: str,
    opensearch: str,
    triton: str,
    image_root: Path | None,
    on_bad_image: str,
    fetch_images: bool,
    renamed: dict[str, str],
    processes: int | None,
    batch: int,
    give_up_after: float,
    as_json: bool,
) -> None:
    """Ingest the lines of a rejects file again, after you have repaired them or their pictures.

    Afterwards, the file contains only lines that are still rejected; it is deleted if there are none. Image
    root and --map are those of the run that wrote the file.

    \b
    Example:
      mmsearch retry catalog.rejects.jsonl
      mmsearch retry catalog.rejects.jsonl --on-bad-image text-only
    """
    with ending(as_json=as_json) as live:
        rejected = Rejected(rejects)
        rejected.close()
        origin = rejected.origin
        still = rejects.with_name(f"{rejects.name}.still")
        job = Job(
            catalog=str(rejects),
            image_root=(image_root or Path(origin.get("image_root", rejects.parent))).resolve(),
            rejects=still,
            index=index,
            text_only=on_bad_image == "text-only",
            fetch=fetch_images,
            renames=renamed or origin.get("map", {}),
            processes=processes,
            batch=batch,
            patience=give_up_after,
            resume=again(),
            retry=True,
            partial=bool(origin.get("partial")),
            came_from=origin,
        )
        report = ingest(job, opensearch, triton, live=live)
        # Delete the old file only after all lines have been processed.
        if still.exists():
            still.replace(rejects)
        else:
            rejects.unlink()
    finish(report, rejects, as_json=as_json)
