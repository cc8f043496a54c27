"""The rejects file: what was not taken, where it broke, why, and the original record, one JSON object a
line."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from .errors import CatalogueError, Rejection, RottenError
from .records import Line
from .tally import Tally

MAX_RAW = 1 << 16
ENOUGH = 200
_RECORD = b',"record":'


class Rejects:
    """Writes rejects as they come, safe to call from every stage. The file is made by the first of them."""

    def __init__(
        self, path: Path, origin: dict[str, Any], tally: Tally, limit: tuple[int, float] | None = None
    ) -> None:
        """`origin` says how the records were read (catalogue, image root, renames), for `mmsearch retry`.

        `limit` is a count and a share of the lines read; beyond either the catalogue is rotten.
        """
        self.path = path
        self._tally = tally
        self._limit = limit
        self._origin = origin
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        _clear(path)

    def add(self, line: Line, identifier: str, rejection: Rejection) -> None:
        """Count and write one reject. Raises RottenError when that is one too many."""
        entry: dict[str, Any] = {
            "line": line.number,
            "id": identifier or None,
            "stage": rejection.stage,
            "reason": rejection.reason,
            "message": rejection.message,
            "from": self._origin,
        }
        text = orjson.dumps(entry)[:-1] + b"," + _original(line.raw, rejection) + b"}\n"
        with self._lock:
            if self._file is None:
                self._file = self.path.open("wb")
            self._file.write(text)
            self._file.flush()
        named = f"line {line.number}, id {identifier!a}" if identifier else f"line {line.number}"
        example = f"{named}: {rejection.message}"
        self._tally.add(rejected=1, reason=rejection.reason, example=example)
        # The share of the first lines says little: one bad line of three is a third.
        self.check(share=self._tally.read >= ENOUGH)

    def check(self, *, share: bool = True) -> None:
        """Raise RottenError when more were rejected than the limit allows, by count or also by share."""
        if self._limit is None:
            return
        count, most = self._limit
        rejected, read = self._tally.rejected, max(1, self._tally.read)
        if rejected > count or (share and rejected > most * read):
            allowed = str(count) if rejected > count else f"{most:.1%}"
            reason, times = max(self._tally.reasons.items(), key=lambda pair: pair[1])
            raise RottenError(
                f"expected at most {allowed} rejects, got {rejected} of {read} lines, {times} for {reason}; "
                f"see {self.path}, or raise --max-rejects"
            )

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _original(raw: bytes, rejection: Rejection) -> bytes:
    """`"record": {...}` byte for byte where the line is an object, else its text as `"raw"`."""
    text = raw.strip()
    field = _RECORD[1:] + text
    try:
        # What is nested too deep for us would be too deep for whoever reads the file.
        if rejection.reason != "too_deep" and isinstance(orjson.loads(text), dict):
            return field
    except orjson.JSONDecodeError:
        pass  # told below, as text
    cut = b',"cut":true' if len(text) > MAX_RAW else b""
    return b'"raw":' + orjson.dumps(text[:MAX_RAW].decode("utf-8", "backslashreplace")) + cut


class Rejected:
    """A rejects file read as a catalogue: the records as they were or as they have been mended there."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.origin = self._origin(path)
        try:
            self._size = path.stat().st_size
            self._file = path.open("rb")
        except OSError as error:
            raise CatalogueError(f"expected a rejects file at {path}, got: {error.strerror}") from None

    def share(self) -> float:
        return self._file.tell() / self._size if self._size else 0.0

    def close(self) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Line]:
        for number, raw in enumerate(self._file, 1):
            if raw.strip():
                yield self._line(number, raw)

    def _line(self, number: int, raw: bytes) -> Line:
        entry = _entry(raw)
        if entry is None:
            raise CatalogueError(
                f"expected an object with `line` and `record` or `raw` on line {number} of {self.path}, "
                "got something else; mend the record, not what is around it"
            )
        if "raw" in entry:
            raw = str(entry["raw"]).encode("utf-8", "replace")
            cut = (
                "line_too_long",
                f"expected line {entry['line']} whole, got it cut; take it from the catalogue",
            )
            return Line(int(entry["line"]), raw, cut if entry.get("cut") else None)
        start = raw.find(_RECORD)
        record = raw[start + len(_RECORD) : raw.rindex(b"}")]
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
                entry = _entry(file.readline()) or {}
        except OSError as error:
            raise CatalogueError(f"expected a rejects file at {path}, got: {error.strerror}") from None
        origin = entry.get("from")
        return origin if isinstance(origin, dict) else {}


def _entry(raw: bytes) -> dict[str, Any] | None:
    try:
        entry = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("line"), int):
        return None
    return entry if "record" in entry or "raw" in entry else None


def _clear(path: Path) -> None:
    """Remove an earlier run's rejects; refuse to touch a file that is something else."""
    try:
        with path.open("rb") as file:
            first = file.readline(1 << 20)
    except FileNotFoundError:
        return
    except OSError as error:
        raise CatalogueError(f"expected to write rejects to {path}, got: {error.strerror}") from None
    if first.strip() and not (first.startswith(b'{"line":') and b'"stage":' in first):
        raise CatalogueError(
            f"expected {path} to be an earlier rejects file, got another; choose one by --rejects"
        )
    path.unlink()
