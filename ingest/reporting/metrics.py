"""Prometheus metrics of a run, as a file for the textfile collector of the node exporter."""

from __future__ import annotations

import time
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from mmsearch.errors import IngestError
from mmsearch.ingest.reporting.losses import (
    DROPPED,
    LONG,
    NOT_DELETED,
    REJECTED,
    UNFIT,
    WITHOUT_IMAGE,
    WITHOUT_TEXT,
)
from mmsearch.ingest.reporting.stats import Stats

EVERY = 5.0
"""seconds between two writes during a run"""
COUNTS = {
    "read": "Lines read. Of the last run.",
    "indexed": "Products of the catalog that are in the index. Of the last run.",
    "encoded": "Products sent to the encoder. Of the last run.",
    "unchanged": "Unchanged products. Of the last run.",
    "deleted": "Products deleted, by --sync or by their lines. Of the last run.",
    "missing": "Products to delete that did not exist. Of the last run.",
    "encoder_calls": "Requests to the encoder. Of the last run.",
}
LOST = {
    REJECTED: "Rejected lines, by reason. Of the last run.",
    WITHOUT_IMAGE: "Products indexed without their picture, by reason. Of the last run.",
    WITHOUT_TEXT: "Products encoded without their text, by reason. Of the last run.",
    DROPPED: "Products dropped by an ingest pipeline, by reason. Of the last run.",
    NOT_DELETED: "Products that OpenSearch did not delete, by reason. Of the last run.",
    UNFIT: "Attributes not of their field's type, kept as text, by name. Of the last run.",
    LONG: "Attributes too long to index, kept, by name. Of the last run.",
}
STATE = {
    "seconds": "Duration of the run.",
    "encoding_seconds": "Duration of requests to the encoder.",
    "indexing_seconds": "Duration of bulk requests.",
    "running": "1 during the run.",
    "exit_code": "0: everything indexed; 3: some products not; 1: failed.",
    "written_timestamp_seconds": "Time of this file.",
}


class MetricsFile:
    """Writes `path` atomically, so that a scrape never reads a partial file. Raise IngestError at the start
    of the run when the file cannot be written.
    """

    def __init__(self, path: Path, index: str) -> None:
        self._path = path
        self._index = index
        # A separate registry: the default one adds metrics of this process and of Python.
        self._registry = CollectorRegistry()
        self._gauges = {
            name: Gauge(
                f"mmsearch_ingest_{name}",
                about,
                ["index", "reason"] if name in LOST else ["index"],
                registry=self._registry,
            )
            for name, about in (COUNTS | LOST | STATE).items()
        }
        self._last = 0.0
        self.write(Stats(), running=True)

    def watch(self, stats: Stats) -> None:
        """Write the file if EVERY seconds have passed since the last write."""
        if time.monotonic() - self._last >= EVERY:
            self.write(stats, running=True)

    def write(self, stats: Stats, *, running: bool, exit_code: int | None = None) -> None:
        self._last = time.monotonic()
        for name in COUNTS:
            self._set(name, getattr(stats, name))
        for loss in stats.losses.all():
            self._gauges[loss.kind].labels(self._index, loss.reason).set(loss.count)
        self._set("seconds", stats.elapsed())
        self._set("encoding_seconds", stats.asking.seconds())
        self._set("indexing_seconds", stats.writing.seconds())
        self._set("running", running)
        if exit_code is not None:
            self._set("exit_code", exit_code)
        self._set("written_timestamp_seconds", time.time())
        try:
            write_to_textfile(str(self._path), self._registry)
        except OSError as error:
            raise IngestError(
                f"expected to write metrics to {self._path}, got: {error.strerror}; name a file in an "
                "existing, writable folder by --metrics-file"
            ) from None

    def _set(self, name: str, value: float) -> None:
        self._gauges[name].labels(self._index).set(value)
