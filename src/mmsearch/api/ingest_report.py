"""The result of an ingest, and the products that it rejected."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mmsearch.ingest.reporting.stats import Report

MOST = 1_000
"""rejects that a report names one by one"""


@dataclass(frozen=True, slots=True)
class Reject:
    """A rejected product.

    line     its position in the input, from 1
    id       its id, or None if the id cannot be read
    stage    read, image, encode or index
    reason   a stable code, for example missing_id, not_found or mapper_parsing_exception
    message  one sentence: what was expected and what was found
    """

    line: int
    id: str | None
    stage: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class IngestReport(Report):
    """The counts of an ingest, as `mmsearch ingest --json` prints them.

    `rejected` is the number of rejected products, `reasons` the number by reason, and `rejects` the first
    1,000 of them; the file given as `rejects` contains all, with their records. `summary()` returns the
    object of `--json`, `sentence()` the line that the command prints.
    """

    rejects: tuple[Reject, ...] = ()

    @classmethod
    def of(cls, report: Report, rejects: Path) -> IngestReport:
        """Return the report of a run with this rejects file, which does not exist without rejects."""
        named = {each.name: getattr(report, each.name) for each in fields(report)}
        first = itertools.islice(_read(rejects), MOST)
        return cls(**named, rejects=tuple(sorted(first, key=lambda reject: reject.line)))


def _read(path: Path) -> Iterator[Reject]:
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            entry: dict[str, Any] = json.loads(line)
            yield Reject(entry["line"], entry["id"], entry["stage"], entry["reason"], entry["message"])
