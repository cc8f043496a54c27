"""XML feeds as catalogs: each product element becomes a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from mmsearch.products.formats.ahead import Ahead
from mmsearch.products.formats.documents import xml_place
from mmsearch.products.formats.documents.xml_events import XmlEvents, each_chunk
from mmsearch.products.formats.found import Found
from mmsearch.products.record import MAX_DEPTH, MAX_LINE_BYTES, Line

WINDOW = 4 << 20
"""bytes in which the product elements are looked for"""
MAX_PARTS = 100_000
"""elements and attributes of one record"""
TEXT = "#text"


class XmlDocument:
    """The records of an XML document, numbered from 1.

    A record has a key for each child element, with its prefix (`g:id`); a repeated element is a list, an
    attribute is `@name`, and text beside attributes or elements is `#text`. Empty elements are left out.
    """

    def __init__(self, stream: Ahead, name: str, found: Found) -> None:
        self._stream = stream
        self._name = name
        path, found.beside = xml_place.place(stream.peek(WINDOW), name)
        found.place = "/".join(path)
        self._records = _Records(path)

    def __iter__(self) -> Iterator[Line]:
        records = self._records
        events = XmlEvents(self._name, records.start, records.text, records.end)
        for data in each_chunk(self._stream):
            events.feed(data)
            yield from records.taken()


class _Element:
    __slots__ = ("name", "text", "values")

    def __init__(self, name: str) -> None:
        self.name = name
        self.values: dict[str, Any] = {}
        self.text: list[str] = []

    def put(self, key: str, value: Any) -> None:
        before = self.values.get(key)
        if before is None:
            self.values[key] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            self.values[key] = [before, value]

    def value(self) -> Any:
        """Return a text, a dict, or None if the element is empty."""
        text = "".join(self.text).strip()
        if not self.values:
            return text or None
        if text:
            self.values[TEXT] = text
        return self.values


class _Records:
    """Builds the records from the events of a parser."""

    def __init__(self, path: xml_place.Path) -> None:
        self._path = path
        self._at: list[str] = []
        self._open: list[_Element] = []
        self._lines: list[Line] = []
        self._number = 0
        self._size = 0
        self._parts = 0
        self._trouble: tuple[str, str] | None = None

    def taken(self) -> list[Line]:
        lines, self._lines = self._lines, []
        return lines

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._at.append(name)
        if not self._open:
            if tuple(self._at) != self._path:
                return
            self._size, self._parts, self._trouble = 0, 0, None
            self._number += 1
        self._parts += 1 + len(attributes)
        self._size += len(name) + sum(map(len, attributes.values()))
        element = _Element(name)
        for key, value in attributes.items():
            if key != "xmlns" and not key.startswith("xmlns:") and value.strip():
                element.values[f"@{key}"] = value.strip()
        self._open.append(element)
        if len(self._open) > MAX_DEPTH:
            self._lose(
                "too_deep", f"expected elements at most {MAX_DEPTH} deep in record {self._number}, got more"
            )
        elif self._parts > MAX_PARTS:
            self._lose(
                "record_too_long",
                f"expected at most {MAX_PARTS} elements in record {self._number}, got more",
            )

    def text(self, characters: str) -> None:
        if self._open and self._trouble is None:
            self._size += len(characters)
            self._open[-1].text.append(characters)
            if self._size > MAX_LINE_BYTES:
                what = (
                    f"expected records of at most {MAX_LINE_BYTES} bytes, got a longer record {self._number}"
                )
                self._lose("line_too_long", what)

    def end(self, name: str) -> None:
        self._at.pop()
        if not self._open:
            return
        element = self._open.pop()
        if self._open:
            if self._trouble is None and (value := element.value()) is not None:
                self._open[-1].put(element.name, value)
            return
        self._lines.append(self._line(element))

    def _line(self, element: _Element) -> Line:
        if self._trouble is not None:
            return Line(self._number, f"<{element.name}>".encode(), self._trouble)
        found = element.value()
        record = found if isinstance(found, dict) else {} if found is None else {TEXT: found}
        return Line(self._number, orjson.dumps(record))

    def _lose(self, reason: str, message: str) -> None:
        """Give this record up, and free what is in it."""
        if self._trouble is None:
            self._trouble = (reason, message)
            for element in self._open:
                element.values, element.text = {}, []
