"""One run of ingest for the API: converts arguments to a job and the result to a report."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmsearch.api.arguments import path_of, records_of
from mmsearch.api.failures import explained
from mmsearch.api.ingest_report import IngestReport
from mmsearch.api.servers import Servers
from mmsearch.errors import ArgumentError
from mmsearch.ingest.job import Job
from mmsearch.ingest.on_ray import run_on_ray
from mmsearch.ingest.product_index.target import VECTORS
from mmsearch.ingest.reporting.progress import IngestProgress
from mmsearch.ingest.runner import run
from mmsearch.products.in_memory import Frame, InMemoryCatalog

logger = logging.getLogger("mmsearch.ingest")
Products = str | os.PathLike[str] | Iterable[Mapping[str, Any]] | Frame
"""a path, an iterable of dicts, or a pandas DataFrame"""
Watch = Callable[[IngestProgress], None]


def source_of(products: Products) -> tuple[str, InMemoryCatalog | None]:
    """Return the catalog's path without a source, or `-` with the products in memory. Raise ArgumentError."""
    if isinstance(products, str | os.PathLike):
        return str(path_of("products", products)), None
    return "-", InMemoryCatalog(records_of("products", products))


def vector_fields(names: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the vector fields of a new index; None if not given. Raise ArgumentError."""
    if names is None:
        return None
    if isinstance(names, str) or not set(names) <= set(VECTORS) or "embedding" not in names:
        raise ArgumentError(
            f"expected embedding, and if wanted others of {', '.join(VECTORS)}, got "
            f"{names if isinstance(names, str) else ','.join(map(str, names))!r}"
        )
    return tuple(names)


def mapping_of(name: str, value: Mapping[str, Any] | str | os.PathLike[str] | None) -> Any:
    """Return a dict unchanged, or the path of a file. Raise ArgumentError."""
    return value if value is None or isinstance(value, Mapping) else path_of(name, value)


def require_compatible(
    *, sync: float | None, limit: int | None, partial: bool, text_only: bool, force: bool
) -> None:
    """Raise ArgumentError if options exclude each other; they have their command-line names."""
    if sync is not None and limit is not None:
        raise ArgumentError("expected the whole catalog for --sync, got --limit; leave one of them out")
    if partial and (sync is not None or text_only):
        raise ArgumentError(
            "expected --partial without --sync and --on-bad-image text-only, which would take away what the "
            "lines do not carry, got both; leave them out"
        )
    if partial and force:
        raise ArgumentError("expected whole products for --force, got --partial; leave one of them out")


def ingest(
    servers: Servers,
    job: Job,
    source: InMemoryCatalog | None,
    *,
    engine: str,
    workers: int,
    progress: Watch | None,
) -> IngestReport:
    """Run the job, by `engine` local or ray. Raise MmsearchError; rejects do not raise."""
    if engine == "ray" and servers.given:
        raise ArgumentError(
            "expected credentials and certificates from the environment for the engine ray, whose workers "
            "read them there, got some as arguments; set MMSEARCH_OPENSEARCH_* and leave the arguments out"
        )
    if engine == "ray" and source is not None:
        raise ArgumentError(
            "expected the path of a catalog for the engine ray, got products in memory; write them to a file"
        )
    with explained("ingest"):
        if engine == "ray":
            report = run_on_ray(job, servers.url, servers.triton, workers=workers, say=logger.warning)
        else:
            report = run(
                job,
                servers.encoder(),
                servers.opensearch(),
                source=source,
                say=logger.warning,
                watch=progress or _nobody,
            )
    logger.info("%s", report.sentence())
    return IngestReport.of(report, job.rejects)


def _nobody(_: IngestProgress) -> None:
    """Ignore progress."""


def rejects_folder() -> tempfile.TemporaryDirectory[str]:
    """Yield a temporary folder for the rejects of a run without a rejects file."""
    return tempfile.TemporaryDirectory(prefix="mmsearch-rejects-")


def default_root(catalog: str) -> Path:
    """Return the default folder of images: the catalog's, or the working directory."""
    return Path() if catalog == "-" else Path(catalog).parent
