"""The lines of a catalog from a file, a compressed file or a pipe, in bounded memory."""

from __future__ import annotations

import io
import itertools
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from mmsearch.errors import CatalogError
from mmsearch.products.compressed import BUFFER, buffered, plain
from mmsearch.products.record import MAX_LINE_BYTES, Line
from mmsearch.products.tables import SEPARATORS, delimited, parquet

KEPT_OF_TOO_LONG = 1 << 10
FORMATS = ("jsonl", "csv", "tsv", "parquet")
_COMPRESSED = (".gz", ".zst", ".zstd")


class Catalog:
    """An iterator over the lines of a catalog; can be iterated once.

    Compression (gzip, zstd) and Parquet are detected by the first bytes, CSV and TSV by the file name.
    `format` sets the format explicitly.
    """

    def __init__(self, path: str, format: str | None = None) -> None:  # noqa: A002 - the option's name
        self.path = path
        self._size = 0
        self._read = 0.0
        self._raw = self._opened()
        self._stream = plain(self._raw, path)
        self._format = format or self._guessed()

    def share(self) -> float:
        """Return the share of the input read, 0 to 1; 0 for a pipe, whose length is unknown."""
        if self._format == "parquet":
            return self._read
        return self._raw.raw.tell() / self._size if self._size else 0.0

    def close(self) -> None:
        self._stream.close()
        if self.path != "-":
            self._raw.close()

    def __iter__(self) -> Iterator[Line]:
        try:
            yield from self._lines()
        except (EOFError, zlib.error, OSError) as error:
            raise CatalogError(
                f"expected {self.path} to be readable to the end, got: {error}; the lines before are indexed"
            ) from None

    def _lines(self) -> Iterator[Line]:
        if self._format == "parquet":
            for line, share in parquet(self._seekable(), self.path):
                self._read = share
                yield line
        elif self._format == "jsonl":
            yield from _json_lines(self._stream)
        else:
            yield from delimited(self._stream, SEPARATORS[self._format], self.path)

    def _opened(self) -> io.BufferedReader:
        if self.path == "-":
            return buffered(sys.stdin.buffer)
        path = Path(self.path)
        try:
            self._size = path.stat().st_size if path.is_file() else 0
            return cast(io.BufferedReader, path.open("rb", buffering=BUFFER))
        except OSError as error:
            raise CatalogError(f"expected a catalog at {self.path}, got: {error.strerror}") from None

    def _guessed(self) -> str:
        if self._raw.peek(4)[:4] == b"PAR1":
            return "parquet"
        suffixes = [suffix.lower() for suffix in Path(self.path).suffixes]
        last = next(itertools.filterfalse(_COMPRESSED.__contains__, reversed(suffixes)), "")
        return last[1:] if last in (".csv", ".tsv") else "jsonl"

    def _seekable(self) -> io.BufferedReader:
        if self._stream.seekable() and self._stream is self._raw and self.path != "-":
            return self._stream
        raise CatalogError(
            f"expected a plain file for Parquet, which needs random access, got {self.path}; save it first"
        )


def _json_lines(stream: io.BufferedReader) -> Iterator[Line]:
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
        yield Line(
            number,
            kept,
            (
                "line_too_long",
                f"expected lines of at most {MAX_LINE_BYTES} bytes, got a longer line {number}",
            ),
        )
