"""Streams whose first bytes can be looked at before they are read, pipes included."""

from __future__ import annotations

import io
import shutil
import tempfile
from contextlib import ExitStack
from typing import IO, Any, BinaryIO, cast

from mmsearch.errors import CatalogError

BUFFER = 1 << 20
MAX_SPOOLED = 4 << 30
"""bytes of a pipe or a compressed file that are stored to read a format from its end"""


class Ahead(io.RawIOBase):
    """A stream of bytes with `peek`. `taken` counts the bytes read from the source."""

    def __init__(self, source: object) -> None:
        self.source: Any = source
        self.taken = 0
        self._kept = memoryview(b"")

    def peek(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end, and leave them to be read."""
        if len(self._kept) < size:
            kept = bytearray(self._kept)
            while len(kept) < size and (more := self.source.read(size - len(kept))):
                self.taken += len(more)
                kept += more
            self._kept = memoryview(bytes(kept))
        return bytes(self._kept[:size])

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._kept:
            size = min(len(buffer), len(self._kept))
            buffer[:size] = self._kept[:size]
            self._kept = self._kept[size:]
            return size
        size = int(self.source.readinto(buffer) or 0)
        self.taken += size
        return size


def buffered(stream: io.RawIOBase) -> io.BufferedReader:
    return io.BufferedReader(stream, BUFFER)


def seekable(stream: Ahead, name: str, keep: ExitStack) -> BinaryIO:
    """Return a file that can be read from its end: the catalog itself, or a temporary copy of a pipe or of
    what was compressed, which `keep` closes. Raise CatalogError if the copy becomes too large.
    """
    source = stream.source
    if isinstance(source, io.BufferedReader) and isinstance(source.raw, io.FileIO) and name != "-":
        source.seek(0)
        return cast(BinaryIO, source)
    copy: IO[bytes] = keep.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    shutil.copyfileobj(_Limited(stream, name), copy, BUFFER)
    copy.seek(0)
    return cast(BinaryIO, copy)


class _Limited:
    """A stream that ends with CatalogError when it is too long to be stored."""

    def __init__(self, stream: io.RawIOBase, name: str) -> None:
        self._stream = stream
        self._name = name
        self._left = MAX_SPOOLED

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size) or b""
        self._left -= len(data)
        if self._left < 0:
            raise CatalogError(
                f"expected at most {MAX_SPOOLED >> 30} GiB to be stored for {self._name}, which is read from "
                "its end, got more; name an uncompressed file"
            )
        return data
