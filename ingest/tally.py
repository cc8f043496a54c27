"""What a run has done so far, counted by every stage, and the Report at its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType

MOST_REASONS = 5
"""that are listed with their counts at the end of a run"""


@dataclass(frozen=True, slots=True)
class Report:
    """The summary of a run.

    `reasons` are the rejected lines by reason and `not_deleted` the refused deletes, `examples` the first of
    each reason: where it stands and what was wrong.
    Every product read is either `indexed` (it is in the index now) or `rejected`; of the indexed ones
    `unchanged` needed nothing and `encoded` were sent to the encoder, in `encoder_calls` requests.
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
    reasons: dict[str, int] = field(default_factory=dict)
    not_deleted: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        return 3 if self.rejected or self.not_deleted else 0

    def sentence(self) -> str:
        deleted = f", {self.deleted} deleted" if self.deleted else ""
        if self.not_deleted:
            why = ", ".join(f"{count} {reason}" for reason, count in most_frequent(self.not_deleted))
            deleted += f", {sum(self.not_deleted.values())} not deleted: {why}"
        return (
            f"{self.indexed} indexed, {self.rejected} rejected{deleted} "
            f"({self.encoded} encoded, {self.unchanged} unchanged; {self.seconds:.1f} s, "
            f"{self.docs_per_second:.0f} a second, held back by {self.bottleneck})"
        )

    def summary(self) -> dict[str, object]:
        """The keys of `--json`."""
        keys = (
            *("read", "encoded", "unchanged", "indexed", "rejected", "seconds", "docs_per_second"),
            *("encoder_calls", "bottleneck"),
        )
        found = {key: getattr(self, key) for key in keys}
        for key in ("deleted", "reasons", "not_deleted"):
            if value := getattr(self, key):
                found[key] = value
        return found


def most_frequent(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Reasons with their counts, the most frequent first, at most MOST_REASONS."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_REASONS]


class Meter:
    """For how long at least one call was under way."""

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
class Tally:
    """Counters that threads share."""

    read: int = 0
    encoded: int = 0
    unchanged: int = 0
    indexed: int = 0
    rejected: int = 0
    encoder_calls: int = 0
    deleted: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    not_deleted: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
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
        reason: str = "",
        example: str = "",
    ) -> None:
        with self._lock:
            if reason:
                self.reasons[reason] = self.reasons.get(reason, 0) + 1
                self.examples.setdefault(reason, example)
            self.deleted += deleted
            self.read += read
            self.encoded += encoded
            self.unchanged += unchanged
            self.indexed += indexed
            self.rejected += rejected
            self.encoder_calls += encoder_calls

    def refuse_delete(self, reason: str, example: str) -> None:
        """Count one product that should have been deleted and is still there."""
        with self._lock:
            self.not_deleted[reason] = self.not_deleted.get(reason, 0) + 1
            self.examples.setdefault(reason, example)

    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def report(self, bottleneck: str) -> Report:
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
            reasons=dict(self.reasons),
            not_deleted=dict(self.not_deleted),
            examples=dict(self.examples),
        )
