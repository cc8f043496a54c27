"""Distributed ingest: Ray Data gives each worker a slice of the catalog and merges the reports.

Each worker is a complete local run with its own journal over the lines whose id hashes into its slice. Index,
hashes and idempotence are therefore those of a single run, and Ray restarts a worker that dies. Catalog and
images must be readable by every worker.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import astuple, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmsearch.clients.opensearch import connect
from mmsearch.clients.triton import Encoder
from mmsearch.errors import CatalogError, IngestError
from mmsearch.ingest.job import Job
from mmsearch.ingest.reporting.losses import Loss, Losses
from mmsearch.ingest.reporting.reject_writer import Rejects
from mmsearch.ingest.reporting.stats import Report, Stats
from mmsearch.ingest.runner import prepare_servers, run
from mmsearch.products.catalog import Catalog
from mmsearch.products.feeds.feed import Feed
from mmsearch.products.sampled import Sampled

ADDED = ("read", "encoded", "unchanged", "indexed", "rejected", "encoder_calls", "deleted", "missing")


def run_on_ray(
    job: Job,
    opensearch: str,
    triton: str,
    *,
    workers: int,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Ingest one catalog with the given number of workers, on the existing Ray cluster or a local one.

    Raise IngestError as `run` does, and CatalogError when the catalog is a pipe or Ray is not installed.
    """
    if find_spec("ray") is None:
        raise CatalogError(
            "expected ray for --engine ray, got none; install it by: pip install 'mmsearch[ray]'"
        )
    if job.catalog == "-" or job.limit is not None or job.retry:
        raise CatalogError("expected a whole catalog in a file for --engine ray, got a part of one or a pipe")
    started = time.monotonic()
    # Create the index before the workers start, so that they do not race for it. Unreachable servers are
    # reported before Ray takes seconds to load.
    encoder, client = Encoder(triton), connect(opensearch)
    catalog = Sampled(Feed(Catalog(job.catalog, job.format, say), job.renames, job.preset, say))
    try:
        prepare_servers(job, encoder, client, say, catalog)
    finally:
        catalog.close()
        encoder.close()
        client.close()
    rejects = Rejects(job.rejects, job.origin, Stats())
    rejects.close()
    import ray
    import ray.data

    if not ray.is_initialized():
        try:
            ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, configure_logging=False)
        # A node that does not start in time is a bare Exception.
        except Exception as error:
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise IngestError(
                f"expected Ray to start, got: {first}; run it again, name a running cluster in RAY_ADDRESS, "
                "or ingest without --engine ray"
            ) from error
    say(f"{workers} workers on Ray")
    # Rejects of the workers are attributed to this run, not to the slice of a worker.
    job = replace(job, catalog=str(Path(job.catalog).resolve()), came_from=job.origin)
    rows = (
        ray.data.from_items([{"worker": worker} for worker in range(workers)], override_num_blocks=workers)
        .map(
            partial(_worker, job=job, workers=workers, opensearch=opensearch, triton=triton),
            num_cpus=1,
            concurrency=workers,
        )
        .take_all()
    )
    failures = [str(row["failure"]) for row in rows if row["failure"]]
    _gather(job.rejects, [bytes(row["rejects"]) for row in rows])
    if failures:
        raise IngestError(failures[0])
    return _added(rows, time.monotonic() - started)


def _worker(row: dict[str, Any], job: Job, workers: int, opensearch: str, triton: str) -> dict[str, Any]:
    """Run one slice in a Ray worker. An error is returned as its sentence."""
    # Slices are nested: part i of n consists of the parts i, i + n, i + 2n, ... of any multiple of n.
    number, count = job.slice
    part = (number + count * int(row["worker"]), count * workers)
    with tempfile.TemporaryDirectory() as folder:
        job = replace(job, slice=part, rejects=Path(folder) / "rejects.jsonl")
        encoder, client = Encoder(triton), connect(opensearch)
        found: dict[str, Any] = {"failure": "", "rejects": b"", "report": {}, "losses": "[]"}
        try:
            report = run(job, encoder, client)
            found["report"] = {name: getattr(report, name) for name in (*ADDED, "bottleneck")}
            found["losses"] = json.dumps([astuple(loss) for loss in report.losses])
        except IngestError as error:
            found["failure"] = str(error)
        finally:
            encoder.close()
            client.close()
        if job.rejects.exists():
            found["rejects"] = job.rejects.read_bytes()
        return found


def _gather(path: Path, parts: list[bytes]) -> None:
    """Merge the workers' rejects into one file, in the order of the catalog's lines."""
    lines: list[bytes] = [line for part in parts for line in part.splitlines(keepends=True)]
    if lines:
        lines.sort(key=_number)
        path.write_bytes(b"".join(lines))


def _number(line: bytes) -> int:
    return int(line[len(b'{"line":') : line.index(b",")])


def _added(rows: list[dict[str, Any]], seconds: float) -> Report:
    total: Counter[str] = Counter()
    held: Counter[str] = Counter()
    losses = Losses(Loss(*each) for row in rows for each in json.loads(row["losses"]))
    for row in rows:
        held[str(row["report"]["bottleneck"])] += 1
        total.update({name: int(row["report"][name]) for name in ADDED})
    return Report(
        read=total["read"],
        encoded=total["encoded"],
        unchanged=total["unchanged"],
        indexed=total["indexed"],
        rejected=total["rejected"],
        seconds=round(seconds, 3),
        docs_per_second=round(total["read"] / seconds, 1),
        encoder_calls=total["encoder_calls"],
        bottleneck=held.most_common(1)[0][0],
        deleted=total["deleted"],
        missing=total["missing"],
        losses=losses.all(),
    )
