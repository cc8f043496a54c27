"""What a run of ingest did, and which products it did not take."""

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
    """One product that was not taken.

    line     its place in what was ingested, from 1
    id       its id, or None where it has none that can be read
    stage    read, image, encode or index
    reason   a stable code, such as missing_id, not_found or mapper_parsing_exception
    message  one sentence: expected, got
    """

    line: int
    id: str | None
    stage: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class IngestReport(Report):
    """The summary of a run, with the counts of `mmsearch ingest --json`.

    `rejected` says how many products were not taken, `reasons` how many for what, and `rejects` which, up to
    the first 1,000; the file that `rejects=` named has all of them, with their records. `summary()` is the
    object of `--json`, `sentence()` the line that the command prints.
    """

    rejects: tuple[Reject, ...] = ()

    @classmethod
    def of(cls, report: Report, rejects: Path) -> IngestReport:
        """The report of a run that wrote its rejects to this file, which is not there where it had none."""
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
