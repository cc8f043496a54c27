"""The rejects file as a catalog: what a run did not take, as it was or as it has been mended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from mmsearch.errors import CatalogError
from mmsearch.products.record import Line

RECORD = b',"record":'
"""what the original record stands behind, byte for byte"""


class Rejected:
    """A rejects file read as a catalog: the records as they were or as they have been mended there."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.origin = self._origin(path)
        try:
            self._size = path.stat().st_size
            self._file = path.open("rb")
        except OSError as error:
            raise CatalogError(f"expected a rejects file at {path}, got: {error.strerror}") from None

    def share(self) -> float:
        return self._file.tell() / self._size if self._size else 0.0

    def close(self) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Line]:
        for number, raw in enumerate(self._file, 1):
            if raw.strip():
                yield self._line(number, raw)

    def _line(self, number: int, raw: bytes) -> Line:
        entry = entry_of(raw)
        if entry is None:
            raise CatalogError(
                f"expected an object with `line` and `record` or `raw` on line {number} of {self.path}, "
                "got something else; mend the record, not what is around it"
            )
        if "raw" in entry:
            raw = str(entry["raw"]).encode("utf-8", "replace")
            cut = (
                "line_too_long",
                f"expected line {entry['line']} whole, got it cut; take it from the catalog",
            )
            return Line(int(entry["line"]), raw, cut if entry.get("cut") else None)
        start = raw.find(RECORD)
        record = raw[start + len(RECORD) : raw.rindex(b"}")]
        try:
            # As written, so that a key that stands there twice is still seen twice.
            orjson.loads(record if start >= 0 else b"")
        except orjson.JSONDecodeError:
            record = orjson.dumps(entry["record"])
        return Line(int(entry["line"]), record)

    @staticmethod
    def _origin(path: Path) -> dict[str, Any]:
        try:
            with path.open("rb") as file:
                entry = entry_of(file.readline()) or {}
        except OSError as error:
            raise CatalogError(f"expected a rejects file at {path}, got: {error.strerror}") from None
        origin = entry.get("from")
        return origin if isinstance(origin, dict) else {}


def entry_of(raw: bytes) -> dict[str, Any] | None:
    """One line of a rejects file, or None where it is something else."""
    try:
        entry = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("line"), int):
        return None
    return entry if "record" in entry or "raw" in entry else None


def beside(catalog: str, part: tuple[int, int] = (1, 1), *, dry_run: bool = False, prefix: str = "") -> Path:
    """Where a run's rejects go by default: beside the catalog, one file for each catalog and slice.

    `catalog.rejects.jsonl` for `catalog.jsonl`, `catalog.csv.rejects.jsonl` for `catalog.csv`. What is piped
    in has no name, so that each run takes a file that is not there yet. `prefix` stands before the name, for
    a run that is another one over the same catalog.
    """
    name = prefix + ("stdin" if catalog == "-" else Path(catalog).name.removesuffix(".jsonl"))
    if part != (1, 1):
        name += f".{part[0]}-of-{part[1]}"
    if dry_run:
        name += ".dry-run"
    folder = Path() if catalog == "-" else Path(catalog).parent
    path = folder / f"{name}.rejects.jsonl"
    number = 2
    while catalog == "-" and path.exists():
        path = folder / f"{name}.{number}.rejects.jsonl"
        number += 1
    return path
