"""Gzip and zstd streams, detected by their first bytes and not by file name."""

from __future__ import annotations

import gzip
import io
from typing import Any, BinaryIO, cast

from mmsearch.errors import CatalogError

BUFFER = 1 << 20


def plain(raw: io.BufferedReader, name: str) -> io.BufferedReader:
    """Return the uncompressed stream, or the stream itself if it is not compressed."""
    begins = raw.peek(4)[:4]
    if begins.startswith(b"\x1f\x8b"):
        return buffered(gzip.GzipFile(fileobj=cast(BinaryIO, raw)))
    if begins == b"\x28\xb5\x2f\xfd":
        return buffered(_Zstd(raw, name))
    return raw


def buffered(stream: object) -> io.BufferedReader:
    return io.BufferedReader(cast(io.RawIOBase, stream), BUFFER)


class _Zstd(io.RawIOBase):
    """A zstd stream that raises OSError, like the other streams."""

    def __init__(self, raw: io.BufferedReader, name: str) -> None:
        try:
            import zstandard
        except ModuleNotFoundError:
            raise CatalogError(
                f"expected the package zstandard to read {name}, got none; install it by: "
                "pip install 'mmsearch[formats]'"
            ) from None
        self._error = zstandard.ZstdError
        self._inner: Any = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return int(self._inner.readinto(buffer))
        except self._error as error:
            raise OSError(str(error)) from None

    def close(self) -> None:
        self._inner.close()
        super().close()
