"""A catalogue's lines, from a file, a compressed file or a pipe, in bounded memory."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from .errors import CatalogueError
from .records import MAX_LINE_BYTES, Line

KEPT_OF_TOO_LONG = 1 << 10
BUFFER = 1 << 20


class Catalogue:
    """Iterate over it once for its lines; compression is told by what it begins with, not by its name."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._size = 0
        self._raw = self._opened()
        self._stream = self._raw
        if self._raw.peek(2)[:2] == b"\x1f\x8b":
            self._stream = _buffered(gzip.GzipFile(fileobj=cast(BinaryIO, self._raw)))

    def share(self) -> float:
        """How much of it has been read, 0 to 1; 0 for a pipe, whose end nobody knows."""
        return self._raw.raw.tell() / self._size if self._size else 0.0

    def close(self) -> None:
        self._stream.close()
        if self.path != "-":
            self._raw.close()

    def __iter__(self) -> Iterator[Line]:
        try:
            yield from _lines(self._stream)
        except (EOFError, zlib.error, OSError) as error:
            raise CatalogueError(
                f"expected {self.path} to be readable to its end, got: {error}; what was read before is in"
            ) from None

    def _opened(self) -> io.BufferedReader:
        if self.path == "-":
            return _buffered(sys.stdin.buffer)
        path = Path(self.path)
        try:
            self._size = path.stat().st_size if path.is_file() else 0
            return cast(io.BufferedReader, path.open("rb", buffering=BUFFER))
        except OSError as error:
            raise CatalogueError(f"expected a catalogue at {self.path}, got: {error.strerror}") from None


def _buffered(stream: object) -> io.BufferedReader:
    return io.BufferedReader(cast(io.RawIOBase, stream), BUFFER)


def _lines(stream: io.BufferedReader) -> Iterator[Line]:
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES):
        number += 1
        if len(raw) < MAX_LINE_BYTES or raw.endswith(b"\n"):
            if raw.strip():
                yield Line(number, raw)
            continue
        kept = raw[:KEPT_OF_TOO_LONG]
        while raw and not raw.endswith(b"\n"):
            raw = stream.readline(BUFFER)
        yield Line(number, kept, whole=False)
