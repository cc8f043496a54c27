"""Progress of a run."""

from __future__ import annotations

from typing import Protocol

from mmsearch.ingest.reporting.stats import Stats


class IngestProgress(Protocol):
    """A live view of a run for progress callbacks. Every method returns the current value."""

    @property
    def stats(self) -> Stats:
        """Return the counts so far: `stats.read`, `.indexed`, `.rejected` and `.elapsed()` in seconds."""

    def bottleneck(self) -> str:
        """Return the bottleneck stage: reading, fetching, pictures, encoding or indexing."""

    def share(self) -> float:
        """Return the share of the catalog read, 0 to 1; 0 when its length is unknown."""
