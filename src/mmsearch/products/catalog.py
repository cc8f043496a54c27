"""The records of a catalog from a file, a compressed file or a pipe, in bounded memory."""

from __future__ import annotations

import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, cast

from mmsearch.errors import CatalogError
from mmsearch.products.formats import detected
from mmsearch.products.formats.ahead import BUFFER, Ahead, buffered, seekable
from mmsearch.products.formats.compressed import ZIP, unpacked
from mmsearch.products.formats.delimited import Delimited
from mmsearch.products.formats.documents.json_document import JsonDocument
from mmsearch.products.formats.documents.xml_document import XmlDocument
from mmsearch.products.formats.documents.xml_events import declared
from mmsearch.products.formats.encodings import Utf8
from mmsearch.products.formats.found import FORMATS, Found
from mmsearch.products.formats.json_lines import json_lines
from mmsearch.products.formats.parquet import MAGIC, Parquet
from mmsearch.products.formats.workbook import Workbook
from mmsearch.products.record import Line

__all__ = ["FORMATS", "Catalog"]

_READABLE = (EOFError, zlib.error, OSError)


class _Counted(Protocol):
    def share(self) -> float: ...
    def __iter__(self) -> Iterator[Line]: ...


def _quiet(_: str) -> None:
    """Ignore the message."""


class Catalog:
    """An iterator over the records of a catalog as lines of JSON; can be iterated once.

    Format, encoding and compression are detected from the content; `format` sets the format explicitly.
    `found` says what they are, with the header of a table, before the first record is read. `say` receives
    one sentence for anything but JSON Lines in UTF-8. The number of a record is its line in JSON Lines and
    CSV, its row in xlsx, and otherwise counted from 1. Raise CatalogError for a file that is no catalog.
    """

    def __init__(
        self,
        path: str,
        format: str | None = None,  # noqa: A002 - the option's name
        say: Callable[[str], None] = _quiet,
    ) -> None:
        self.path = path
        self.found = Found()
        self._size = 0
        self._raw = self._opened()
        self._keep = ExitStack()
        self._counted: _Counted | None = None
        self._open = False
        try:
            self._records = self._reader(format, say)
        except _READABLE as error:
            self.close()
            raise self._unreadable(error) from None
        except BaseException:
            self.close()
            raise
        self._open = True
        if not self.found.plain:
            doubt = "; if letters are wrong, save it as UTF-8" if self.found.encoding == "cp1252" else ""
            say(f"{path} is {self.found.sentence()}{doubt}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The header of a table; empty for other formats."""
        return self.found.columns

    def share(self) -> float:
        """Return the share of the input read, 0 to 1; 0 for a pipe, whose length is unknown."""
        if self._counted is not None:
            return self._counted.share()
        return self._raw.raw.tell() / self._size if self._size and not self._raw.closed else 0.0

    def close(self) -> None:
        self._keep.close()
        if self.path != "-":
            self._raw.close()

    def __iter__(self) -> Iterator[Line]:
        try:
            yield from self._records
        except _READABLE as error:
            raise self._unreadable(error) from None

    def _reader(self, given: str | None, say: Callable[[str], None]) -> Iterator[Line] | _Counted:
        found, name = self.found, self.path
        stream, found.compression = unpacked(Ahead(self._raw), name, self._keep)
        begins = stream.peek(512)
        if begins.startswith(MAGIC) or given == "parquet":
            found.format, found.encoding = "parquet", ""
            self._counted = Parquet(seekable(stream, name, self._keep), name, found)
            return self._counted
        if begins.startswith(ZIP) or given == "xlsx":
            found.format, found.encoding = "xlsx", ""
            self._counted = Workbook(seekable(stream, name, self._keep), name, found, self._keep)
            return self._counted
        detected.require_readable(begins, name)
        text = Ahead(
            Utf8(
                stream,
                name,
                found,
                lambda late: say(late) if self._open else None,
                declared(stream.peek(1024)),
            )
        )
        window = text.peek(detected.WINDOW)
        found.format = given or detected.detected(window, name, complete=len(window) < detected.WINDOW)
        if found.format == "xml":
            return iter(XmlDocument(text, name, found))
        if found.format == "json":
            return iter(JsonDocument(text, name, found))
        if found.format == "jsonl":
            return json_lines(buffered(text))
        return iter(Delimited(buffered(text), name, found, detected.sample_of(window)))

    def _opened(self) -> io.BufferedReader:
        if self.path == "-":
            return buffered(cast(io.RawIOBase, sys.stdin.buffer))
        path = Path(self.path)
        try:
            self._size = path.stat().st_size if path.is_file() else 0
            return cast(io.BufferedReader, path.open("rb", buffering=BUFFER))
        except OSError as error:
            raise CatalogError(f"expected a catalog at {self.path}, got: {error.strerror}") from None

    def _unreadable(self, error: Exception) -> CatalogError:
        return CatalogError(
            f"expected {self.path} to be readable to the end, got: {error}; the lines before are indexed"
        )
