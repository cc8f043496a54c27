"""The rejects file as a catalog: records that a run rejected, unchanged or edited."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from mmsearch.errors import CatalogError
from mmsearch.products.record import Line

RECORD = b',"record":'
"""the text that precedes the original record, which follows byte for byte"""


class Rejected:
    """A rejects file read as a catalog, with the original or edited records."""

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
                "got something else; correct only the record"
            )
        if "raw" in entry:
            raw = str(entry["raw"]).encode("utf-8", "replace")
            cut = (
                "line_too_long",
                f"expected line {entry['line']} complete, got it truncated; copy it from the catalog",
            )
            return Line(int(entry["line"]), raw, cut if entry.get("cut") else None)
        start = raw.find(RECORD)
        record = raw[start + len(RECORD) : raw.rindex(b"}")]
        try:
            # The original bytes are kept, so that a repeated key is detected again.
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
    """Parse one line of a rejects file. Return None if it is something else."""
    try:
        entry = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("line"), int):
        return None
    return entry if "record" in entry or "raw" in entry else None


def beside(catalog: str, part: tuple[int, int] = (1, 1), *, dry_run: bool = False, prefix: str = "") -> Path:
    """Return the default path of a run's rejects file: next to the catalog, one per catalog and slice.

    The name is `catalog.rejects.jsonl` for `catalog.jsonl` and `catalog.csv.rejects.jsonl` for `catalog.csv`.
    For standard input each run uses a new name. `prefix` distinguishes runs of other commands over the same
    catalog.
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
