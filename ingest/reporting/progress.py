"""What is known of a run while it goes on."""

from __future__ import annotations

from typing import Protocol

from mmsearch.ingest.reporting.stats import Stats


class IngestProgress(Protocol):
    """A run that goes on, as who watches it sees it; every call tells what is so at that moment."""

    @property
    def stats(self) -> Stats:
        """The counts so far; `stats.read`, `.indexed`, `.rejected` and `.elapsed()` in seconds."""

    def bottleneck(self) -> str:
        """The stage that holds the others back: reading, fetching, pictures, encoding or indexing."""

    def share(self) -> float:
        """How much of the catalog has been read, 0 to 1; 0 where nobody knows its length."""
