"""What a run lost, by kind and reason, with examples, for the closing line, `--json` and metrics: products,
pictures, and the indexing of attributes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MOST = 5
REJECTED, WITHOUT_IMAGE, WITHOUT_TEXT = "rejected", "without_image", "without_text"
DROPPED, NOT_DELETED = "dropped", "not_deleted"
UNFIT, LONG = "unfit_attributes", "long_attributes"
KINDS = {
    REJECTED: "rejected",
    WITHOUT_IMAGE: "without a picture",
    WITHOUT_TEXT: "encoded without their text",
    DROPPED: "dropped by an ingest pipeline",
    NOT_DELETED: "not deleted",
    UNFIT: "attributes not of their field's type, kept as text",
    LONG: "attributes too long to index, kept",
}
"""kind → its words in the closing line"""


@dataclass(frozen=True, slots=True)
class Loss:
    """The number lost with one kind and reason, which for attributes is the name; `example` is one of them,
    with its message."""

    kind: str
    reason: str
    count: int
    example: str = ""


class Losses:
    """Thread-safe counters of losses."""

    def __init__(self, losses: Iterable[Loss] = ()) -> None:
        self._found: dict[tuple[str, str], Loss] = {}
        self._lock = threading.Lock()
        for loss in losses:
            self.add(loss.kind, loss.reason, loss.example, loss.count)

    def add(self, kind: str, reason: str, example: str, count: int = 1) -> None:
        with self._lock:
            before = self._found.get((kind, reason))
            if before is None:
                self._found[kind, reason] = Loss(kind, reason, count, example)
            else:
                self._found[kind, reason] = Loss(kind, reason, before.count + count, before.example)

    def all(self) -> tuple[Loss, ...]:
        """Return every kind and reason in the order of KINDS, the most frequent reason first."""
        order = list(KINDS)
        with self._lock:
            found = list(self._found.values())
        return tuple(sorted(found, key=lambda loss: (order.index(loss.kind), -loss.count, loss.reason)))

    def count(self, kind: str) -> int:
        return sum(loss.count for loss in self.all() if loss.kind == kind)

    def reasons(self, kind: str) -> dict[str, int]:
        return {loss.reason: loss.count for loss in self.all() if loss.kind == kind}


def phrase(losses: Iterable[Loss], kind: str) -> str:
    """Format losses as `3 rejected (2 not_json, 1 not_found)`, with at most the five most frequent
    reasons.
    """
    mine = [loss for loss in losses if loss.kind == kind]
    reasons = [f"{loss.count} {loss.reason}" for loss in mine[:MOST]]
    if len(mine) > MOST:
        reasons.append(f"{sum(loss.count for loss in mine[MOST:])} for {len(mine) - MOST} other reasons")
    count = sum(loss.count for loss in mine)
    return f"{count} {KINDS[kind]}" + (f" ({', '.join(reasons)})" if reasons else "")


def examples(losses: Iterable[Loss]) -> list[str]:
    """Return one line with an example for each of the five most frequent reasons of each kind."""
    lines = []
    shown: dict[str, int] = {}
    for loss in losses:
        shown[loss.kind] = shown.get(loss.kind, 0) + 1
        if shown[loss.kind] <= MOST:
            lines.append(f"{loss.count:8} {KINDS[loss.kind]}, {loss.reason}: such as {loss.example}")
    return lines


def by_kind(losses: Iterable[Loss]) -> Mapping[str, dict[str, int]]:
    """Return kind → reason → count, for `--json`."""
    found: dict[str, dict[str, int]] = {}
    for loss in losses:
        found.setdefault(loss.kind, {})[loss.reason] = loss.count
    return found
