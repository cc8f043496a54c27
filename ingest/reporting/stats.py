"""Counters of a run, updated by every stage, and the Report made from them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

from mmsearch.ingest.reporting.losses import (
    DROPPED,
    KINDS,
    LONG,
    NOT_DELETED,
    REJECTED,
    UNFIT,
    WITHOUT_IMAGE,
    WITHOUT_TEXT,
    Loss,
    Losses,
    by_kind,
    phrase,
)

FASTER = {
    "reading": "read the catalog from a faster disk or network",
    "fetching": "use a faster image host, or images in files",
    "pictures": "add processor cores for decoding, or machines by --slice",
    "encoding": "give Triton more processor cores or a GPU",
    "indexing": "give OpenSearch more processor cores or data nodes",
}
"""what makes a run faster, by bottleneck"""

if TYPE_CHECKING:
    from mmsearch.ingest.reporting.survey import Survey


@dataclass(frozen=True, slots=True)
class Report:
    """The summary of a run.

    Every line read is counted as exactly one of `indexed` (in the index now), `rejected`, `dropped` (by an
    ingest pipeline), `deleted` or `missing` (to be deleted, but not in the index). Of the indexed products,
    `unchanged` were not encoded, `encoded` were sent to the encoder in `encoder_calls` requests, and
    `without_image` were indexed by text only because the image cannot be used, and `without_text` were
    encoded by their images only because the encoder knows no word of the text. `deleted` includes deletions
    by --sync; `not_deleted` counts deletions that OpenSearch rejected. `unfit_attributes` are values that are
    not of their field's type, `long_attributes` those too long to index; both are kept in their products.
    `losses` has the reasons, with examples.
    """

    read: int
    encoded: int
    unchanged: int
    indexed: int
    rejected: int
    seconds: float
    docs_per_second: float
    encoder_calls: int
    bottleneck: str
    deleted: int = 0
    missing: int = 0
    losses: tuple[Loss, ...] = ()
    error: str = ""
    """the sentence of the error that ended the run, if it failed"""
    survey: Survey | None = None
    """what a dry run tells of the catalog"""

    @property
    def without_image(self) -> int:
        return self._lost(WITHOUT_IMAGE)

    @property
    def without_text(self) -> int:
        return self._lost(WITHOUT_TEXT)

    @property
    def dropped(self) -> int:
        return self._lost(DROPPED)

    @property
    def not_deleted(self) -> int:
        return self._lost(NOT_DELETED)

    @property
    def unfit_attributes(self) -> int:
        return self._lost(UNFIT)

    @property
    def long_attributes(self) -> int:
        return self._lost(LONG)

    @property
    def reasons(self) -> dict[str, int]:
        """Return the number of rejected lines by reason."""
        return {loss.reason: loss.count for loss in self.losses if loss.kind == REJECTED}

    @property
    def faster(self) -> str:
        """Return what would make the run faster."""
        return FASTER.get(self.bottleneck, "")

    @property
    def exit_code(self) -> int:
        """Return 0 when the index matches the catalog, 3 when products are missing or were not deleted, 1
        when the run failed.
        """
        if self.error:
            return 1
        return 3 if self.rejected or self.dropped or self.not_deleted else 0

    def sentence(self) -> str:
        parts = [f"{self.indexed} indexed", phrase(self.losses, REJECTED)]
        parts += [
            phrase(self.losses, kind) for kind in (WITHOUT_IMAGE, WITHOUT_TEXT, DROPPED) if self._lost(kind)
        ]
        if self.deleted:
            parts.append(f"{self.deleted} deleted")
        if self.missing:
            parts.append(f"{self.missing} to delete not found")
        parts += [phrase(self.losses, kind) for kind in (NOT_DELETED, UNFIT, LONG) if self._lost(kind)]
        return (
            f"{', '.join(parts)} "
            f"({self.encoded} encoded, {self.unchanged} unchanged; {self.seconds:.1f} s, "
            f"{self.docs_per_second:.0f} a second, held back by {self.bottleneck}; {self.faster})"
        )

    def summary(self) -> dict[str, object]:
        """Return the object printed by `--json`. Rare keys are present only when they are not zero or
        empty.
        """
        keys = (
            *("read", "encoded", "unchanged", "indexed", "rejected", "seconds", "docs_per_second"),
            *("encoder_calls", "bottleneck", "exit_code"),
        )
        rare = ("deleted", "missing", *KINDS, "error")
        found: dict[str, object] = {key: getattr(self, key) for key in keys}
        found |= {key: value for key in rare if key not in found and (value := getattr(self, key))}
        if self.losses:
            found["reasons"] = by_kind(self.losses)
        if self.survey:
            found["survey"] = self.survey.summary()
        return found

    def _lost(self, kind: str) -> int:
        return sum(loss.count for loss in self.losses if loss.kind == kind)


class Meter:
    """Measures how long at least one call was in progress."""

    def __init__(self) -> None:
        self._under_way = 0
        self._since = 0.0
        self._seconds = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            if not self._under_way:
                self._since = time.monotonic()
            self._under_way += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._under_way -= 1
            if not self._under_way:
                self._seconds += time.monotonic() - self._since

    def seconds(self) -> float:
        with self._lock:
            return self._seconds + (time.monotonic() - self._since if self._under_way else 0.0)


@dataclass(slots=True)
class Stats:
    """Thread-safe counters."""

    read: int = 0
    encoded: int = 0
    unchanged: int = 0
    indexed: int = 0
    rejected: int = 0
    encoder_calls: int = 0
    deleted: int = 0
    missing: int = 0
    losses: Losses = field(default_factory=Losses)
    started: float = field(default_factory=time.monotonic)
    asking: Meter = field(default_factory=Meter)
    writing: Meter = field(default_factory=Meter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        *,
        read: int = 0,
        encoded: int = 0,
        unchanged: int = 0,
        indexed: int = 0,
        rejected: int = 0,
        encoder_calls: int = 0,
        deleted: int = 0,
        missing: int = 0,
    ) -> None:
        with self._lock:
            self.deleted += deleted
            self.missing += missing
            self.read += read
            self.encoded += encoded
            self.unchanged += unchanged
            self.indexed += indexed
            self.rejected += rejected
            self.encoder_calls += encoder_calls

    def lose(self, kind: str, reason: str, example: str) -> None:
        """Count one loss; a rejected product is also counted as `rejected`."""
        self.losses.add(kind, reason, example)
        if kind == REJECTED:
            self.add(rejected=1)

    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def report(self, bottleneck: str, error: str = "") -> Report:
        seconds = self.elapsed()
        return Report(
            read=self.read,
            encoded=self.encoded,
            unchanged=self.unchanged,
            indexed=self.indexed,
            rejected=self.rejected,
            seconds=round(seconds, 3),
            docs_per_second=round(self.read / seconds, 1) if seconds else 0.0,
            encoder_calls=self.encoder_calls,
            bottleneck=bottleneck,
            deleted=self.deleted,
            missing=self.missing,
            losses=self.losses.all(),
            error=error,
        )
