"""What a run has done as Prometheus metrics, in a file for the node exporter's textfile collector."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mmsearch.errors import IngestError
from mmsearch.ingest.reporting.losses import DROPPED, NOT_DELETED, REJECTED, WITHOUT_IMAGE
from mmsearch.ingest.reporting.stats import Stats

EVERY = 5.0
"""seconds between two writings of a run that goes on"""
PREFIX = "mmsearch_ingest"
COUNTS = {
    "read": "Lines read.",
    "indexed": "Products of the catalog that are in the index.",
    "encoded": "Products sent to the encoder.",
    "unchanged": "Products that needed nothing.",
    "deleted": "Products deleted, by --sync or by their lines.",
    "missing": "Products that were to be deleted and not there.",
    "encoder_calls": "Requests to the encoder.",
}

LOST = {
    REJECTED: "Lines that were not taken",
    WITHOUT_IMAGE: "Products that came in without their picture",
    DROPPED: "Products that an ingest pipeline let not through",
    NOT_DELETED: "Products that OpenSearch would not delete",
}


class MetricsFile:
    """Writes `path` whole or not at all, so that no scrape reads half of it. Raises IngestError at once when
    it cannot be written, rather than at the end of a long run."""

    def __init__(self, path: Path, index: str) -> None:
        self._path = path
        self._labels = f'index="{_escaped(index)}"'
        self._last = 0.0
        self.write(Stats(), running=True)

    def watch(self, stats: Stats) -> None:
        """Called often; writes every EVERY seconds."""
        if time.monotonic() - self._last >= EVERY:
            self.write(stats, running=True)

    def write(self, stats: Stats, *, running: bool, exit_code: int | None = None) -> None:
        self._last = time.monotonic()
        scratch = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            scratch.write_text(self.text(stats, running=running, exit_code=exit_code), encoding="utf-8")
            scratch.replace(self._path)
        except OSError as error:
            raise IngestError(
                f"expected to write metrics to {self._path}, got: {error.strerror}; name a file in a folder "
                "that is there and ours by --metrics-file"
            ) from None

    def text(self, stats: Stats, *, running: bool, exit_code: int | None = None) -> str:
        """The metrics in Prometheus' text format."""
        lines = []

        def metric(name: str, about: str, *values: tuple[str, float]) -> None:
            full = f"{PREFIX}_{name}"
            lines.append(f"# HELP {full} {about}\n# TYPE {full} gauge\n")
            for labels, value in values:
                lines.append(f"{full}{{{self._labels}{labels}}} {value:.15g}\n")

        for name, about in COUNTS.items():
            metric(name, f"{about} Of the last run.", ("", getattr(stats, name)))
        losses = stats.losses.all()
        for kind, about in LOST.items():
            metric(
                kind,
                f"{about}, by reason. Of the last run.",
                *(
                    (f',reason="{_escaped(loss.reason)}"', loss.count)
                    for loss in sorted(losses, key=lambda loss: loss.reason)
                    if loss.kind == kind
                ),
            )
        metric("seconds", "How long the run has taken.", ("", stats.elapsed()))
        metric(
            "encoding_seconds",
            "For how long a request to the encoder was under way.",
            ("", stats.asking.seconds()),
        )
        metric(
            "indexing_seconds", "For how long a bulk request was under way.", ("", stats.writing.seconds())
        )
        metric("running", "1 while the run goes on.", ("", int(running)))
        if exit_code is not None:
            metric("exit_code", "0 all in, 3 some are not, 1 failed.", ("", exit_code))
        metric("written_timestamp_seconds", "When this was written.", ("", time.time()))
        return "".join(lines)


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
