"""Compressed catalogs: gzip, zstd, bzip2, xz, and zip with one file. Detected by content, within limits."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, BinaryIO, cast

from mmsearch.errors import CatalogError
from mmsearch.products.formats.ahead import BUFFER, Ahead, buffered, seekable

MAX_RATIO = 200
"""of the uncompressed size to the compressed one; catalogs have 3 to 50"""
ALWAYS = 64 << 20
"""bytes that are uncompressed whatever their ratio"""
MAX_LAYERS = 2
MAX_DIRECTORY = 4 << 20  # bytes of a zip's list of files
MAX_XZ_MEMORY = 128 << 20
ZIP = b"PK\x03\x04"
EMPTY_ZIP = b"PK\x05\x06"
_KINDS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
_ALIEN = {
    "xl/workbook.xml": "xlsx",
    "xl/workbook.bin": "xlsb",
    "content.xml": "ods",
    "word/document.xml": "docx",
}
_NOISE = ("__MACOSX/", ".DS_Store", "Thumbs.db")


def compression(begins: bytes) -> str:
    """Return the name of the compression by the first bytes; empty if there is none."""
    return next((kind for magic, kind in _KINDS.items() if begins.startswith(magic)), "")


def unpacked(stream: Ahead, name: str, keep: ExitStack) -> tuple[Ahead, tuple[str, ...]]:
    """Return the uncompressed stream and the compressions found, outermost first. An archive that is a
    document of its own, such as xlsx, is left as it is. `keep` closes what is opened. Raise CatalogError.
    """
    layers: list[str] = []
    while True:
        begins = stream.peek(8)
        kind = compression(begins)
        if not kind and begins.startswith((ZIP, EMPTY_ZIP)):
            file = seekable(stream, name, keep)
            archive = keep.enter_context(opened(file, name))
            if document(archive) in ("xlsx", "xlsb", "ods", "docx"):
                file.seek(0)
                return Ahead(file), tuple(layers)
            kind, inner = "zip", keep.enter_context(_only_member(archive, name))
        elif kind:
            inner = _Inflated(keep.enter_context(_inner(kind, stream, name)), stream, name)
        else:
            return stream, tuple(layers)
        if len(layers) == MAX_LAYERS:
            raise CatalogError(
                f"expected {name} to be compressed at most {MAX_LAYERS} times, got "
                f"{' in '.join([kind, *reversed(layers)])}; unpack it first"
            )
        layers.append(kind)
        stream = Ahead(inner)


def document(archive: zipfile.ZipFile) -> str:
    """Return which kind of document a zip archive is; empty for a plain archive."""
    names = set(archive.namelist())
    return next((kind for member, kind in _ALIEN.items() if member in names), "")


def opened(file: BinaryIO, name: str) -> zipfile.ZipFile:
    """Open a zip archive. Raise CatalogError if it is damaged or lists too many files."""
    try:
        if _directory(file) > MAX_DIRECTORY:
            raise CatalogError(f"expected one file in the archive {name}, got a huge list; unpack it first")
        file.seek(0)
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, struct.error, ValueError, OverflowError, NotImplementedError) as error:
        raise CatalogError(
            f"expected {name} to be a whole zip archive, got: {error}; copy it again"
        ) from None


def require_within(member: zipfile.ZipInfo, name: str) -> None:
    """Raise CatalogError if a member is encrypted, or expands more than catalogs do."""
    if member.flag_bits & 1:
        raise CatalogError(f"expected an archive without a password, got {name}; unpack it first")
    if member.file_size > ALWAYS and member.file_size > MAX_RATIO * member.compress_size:
        raise _bomb(name)


def _directory(file: BinaryIO) -> int:
    """Return the size of a zip's list of files, which the zip reader loads as a whole."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - (1 << 16) - 98))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0:
        raise zipfile.BadZipFile("no list of files at its end")
    found = int(struct.unpack_from("<L", tail, end + 12)[0])
    if tail[max(0, end - 20) : end].startswith(b"PK\x06\x07") and end >= 76:
        found = max(0 if found == 0xFFFFFFFF else found, struct.unpack_from("<Q", tail, end - 76 + 40)[0])
    return found


def _only_member(archive: zipfile.ZipFile, name: str) -> io.RawIOBase:
    members = [
        each
        for each in archive.infolist()
        if each.filename and not each.is_dir() and not any(map(each.filename.count, _NOISE))
    ]
    if len(members) != 1:
        shown = ", ".join(each.filename[:60] for each in members[:5]) + (", …" if len(members) > 5 else "")
        raise CatalogError(
            f"expected one file in the archive {name}, got {len(members) or 'none'}"
            f"{': ' * bool(members)}{shown}; unpack it and name the catalog"
        )
    require_within(members[0], name)
    try:
        return cast(io.RawIOBase, _Raising(archive.open(members[0]), zipfile.BadZipFile))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, struct.error) as error:
        raise CatalogError(
            f"expected {name} to be a whole zip archive, got: {error}; copy it again"
        ) from None


def _inner(kind: str, stream: Ahead, name: str) -> Any:
    if kind == "gzip":
        return gzip.GzipFile(fileobj=cast(BinaryIO, buffered(stream)))
    if kind == "bzip2":
        return _Streams(stream, bz2.BZ2Decompressor)
    if kind == "xz":
        return _Streams(stream, lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MAX_XZ_MEMORY))
    return _zstd(stream, name)


def _bomb(name: str) -> CatalogError:
    return CatalogError(
        f"expected {name} to grow at most {MAX_RATIO}-fold when it is uncompressed, got more, as of a "
        "decompression bomb; if you trust the file, unpack it first"
    )


class _Inflated(io.RawIOBase):
    """An uncompressed stream that ends with CatalogError when it grows like a bomb."""

    def __init__(self, inner: Any, packed: Ahead, name: str) -> None:
        self._inner = inner
        self._packed = packed
        self._name = name
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = int(self._inner.readinto(buffer))
        self._size += size
        if self._size > ALWAYS and self._size > MAX_RATIO * self._packed.taken:
            raise _bomb(self._name)
        return size


class _Raising(io.RawIOBase):
    """A stream of a library that raises OSError in place of its own error, like the other streams."""

    def __init__(self, inner: Any, error: type[Exception]) -> None:
        self._inner = inner
        self._error = error

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


class _Streams(io.RawIOBase):
    """Streams of bzip2 or xz, one after another. Raises OSError or EOFError."""

    def __init__(self, packed: Ahead, fresh: Callable[[], Any]) -> None:
        self._packed = packed
        self._fresh = fresh
        self._inner = fresh()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            more = b""
            if self._inner.eof:
                # Between two streams of xz there may be zeros.
                more = (self._inner.unused_data or self._packed.read(BUFFER) or b"").lstrip(b"\0")
                if not more:
                    return 0
                self._inner = self._fresh()
            elif self._inner.needs_input:
                more = self._packed.read(BUFFER) or b""
                if not more:
                    raise EOFError("compressed data that ends too soon")
            try:
                data = self._inner.decompress(more, len(buffer))
            except (lzma.LZMAError, MemoryError) as error:
                raise OSError(str(error)) from None
            if data:
                buffer[: len(data)] = data
                return len(data)


def _zstd(packed: Ahead, name: str) -> _Raising:
    try:
        import zstandard
    except ModuleNotFoundError:
        raise CatalogError(
            f"expected the package zstandard to read {name}, got none; install it by: "
            "pip install 'mmsearch[formats]'"
        ) from None
    reader = zstandard.ZstdDecompressor().stream_reader(cast(BinaryIO, packed), read_across_frames=True)
    return _Raising(reader, zstandard.ZstdError)
