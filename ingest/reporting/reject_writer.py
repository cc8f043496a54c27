"""Writer of the rejects file: the position, the reason and the original record of each rejected product."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from mmsearch.errors import CatalogError, FolderError, Rejection, RottenError
from mmsearch.ingest.reporting.losses import REJECTED, WITHOUT_IMAGE, WITHOUT_TEXT
from mmsearch.ingest.reporting.stats import Stats
from mmsearch.products.record import Line
from mmsearch.products.rejects import RECORD, entry_of

MAX_RAW = 1 << 16
ENOUGH = 200
Limit = tuple[int, float]
"""a count, and a share of the lines read"""


class Rejects:
    """Writes rejects from all stages; thread-safe. The file is created with the first reject."""

    def __init__(
        self,
        path: Path,
        origin: dict[str, Any],
        stats: Stats,
        limit: Limit | None = None,
        without_image: Limit | None = None,
    ) -> None:
        """`origin` records how the catalog was read (path, image root, renames), for `mmsearch retry`.

        `limit` applies to rejects and `without_image` to products indexed without their image, each as a
        count and a share of the lines read. RottenError is raised when either is exceeded.
        """
        self.path = path
        self._stats = stats
        self._limits = (
            (REJECTED, limit, f"see {path}, or raise --max-rejects"),
            (WITHOUT_IMAGE, without_image, "fix the pictures, or raise --max-without-image"),
        )
        self._origin = origin
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        _clear(path, origin)

    def add(self, line: Line, identifier: str, rejection: Rejection) -> None:
        """Count and write one reject. Raise RottenError when the limit is exceeded."""
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
            self._write(text)
        self._stats.lose(REJECTED, rejection.reason, _example(line, identifier, rejection))
        # A share of the first few lines is not meaningful: one bad line of three is 33%.
        self.check(share=self._stats.read >= ENOUGH)

    def without_image(self, line: Line, identifier: str, why: Rejection) -> None:
        """Count one product that is indexed without its image. Raise RottenError when the limit is
        exceeded.
        """
        self._stats.lose(WITHOUT_IMAGE, why.reason, _example(line, identifier, why))
        self.check(share=self._stats.read >= ENOUGH)

    def without_text(self, line: Line, identifier: str, why: Rejection) -> None:
        """Count one product that is encoded by its images only."""
        self._stats.lose(WITHOUT_TEXT, why.reason, _example(line, identifier, why))

    def check(self, *, share: bool = True) -> None:
        """Raise RottenError when losses exceed the limits, by count or also by share."""
        for kind, limit, repair in self._limits:
            if limit is None:
                continue
            count, most = limit
            losses = [loss for loss in self._stats.losses.all() if loss.kind == kind]
            lost, read = sum(loss.count for loss in losses), max(1, self._stats.read)
            if lost > count or (share and lost > most * read):
                allowed = str(count) if lost > count else f"{most:.1%}"
                what = "rejects" if kind == REJECTED else "products without a picture"
                raise RottenError(
                    f"expected at most {allowed} {what}, got {lost} of {read} lines, {losses[0].count} for "
                    f"{losses[0].reason}; {repair}"
                )

    def _write(self, text: bytes) -> None:
        try:
            if self._file is None:
                # Exclusive: two runs must not write one file. The file of an earlier run was removed at the
                # start.
                self._file = self.path.open("xb")
            self._file.write(text)
            self._file.flush()
        except FileExistsError:
            raise FolderError(
                f"expected to be the only run that writes rejects to {self.path}, got another; choose one by "
                "--rejects"
            ) from None
        except OSError as error:
            raise FolderError(
                f"expected to write rejects to {self.path}, got: {error.strerror}; choose a file in an "
                "existing, writable folder with free space by --rejects"
            ) from None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _original(raw: bytes, rejection: Rejection) -> bytes:
    """Return `"record": {...}` byte for byte if the line is an object, otherwise its text as `"raw"`."""
    text = raw.strip()
    field = RECORD[1:] + text
    try:
        # JSON nested too deeply for our parser would fail in the readers of the file too.
        if rejection.reason != "too_deep" and isinstance(orjson.loads(text), dict):
            return field
    except orjson.JSONDecodeError:
        pass  # told below, as text
    cut = b',"cut":true' if len(text) > MAX_RAW else b""
    return b'"raw":' + orjson.dumps(text[:MAX_RAW].decode("utf-8", "backslashreplace")) + cut


def _example(line: Line, identifier: str, why: Rejection) -> str:
    """Format a line for the summary: its number, its id and the error."""
    name = f"{identifier!a} on line" if identifier else "line"
    return f"{name} {line.number}: {why.message[:200]}"


def _clear(path: Path, origin: dict[str, Any]) -> None:
    """Remove the rejects file of an earlier run on the same source. Raise an error if the file is anything
    else.
    """
    try:
        with path.open("rb") as file:
            first = file.readline(1 << 20)
        entry = entry_of(first)
        if first.strip() and (entry is None or "stage" not in entry):
            raise CatalogError(
                f"expected {path} to be an earlier rejects file, got another; choose one by --rejects"
            )
        before = (entry or {}).get("from")
        if isinstance(before, dict) and before and _source(before) != _source(origin):
            raise CatalogError(
                f"expected {path} to be the rejects of an earlier run over {_named(origin)}, got those of "
                f"{_named(before)}; fix and retry them, or choose another file by --rejects"
            )
        path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise FolderError(
            f"expected to write rejects to {path}, got: {error.strerror}; choose another file by --rejects"
        ) from None


def _source(origin: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what identifies the source of a run, to recognize a repeated run."""
    catalog = str(origin.get("catalog"))
    return (
        catalog if catalog == "-" else os.path.realpath(catalog),
        *(str(origin.get(name, "")) for name in ("slice", "dry_run", "partial")),
    )


def _named(origin: Mapping[str, Any]) -> str:
    parts = [str(origin.get("catalog"))]
    if origin.get("slice"):
        parts.append(f"slice {origin['slice']}")
    if origin.get("dry_run"):
        parts.append("a dry run")
    if origin.get("partial"):
        parts.append("as a partial feed")
    return ", ".join(parts)
