"""JSON documents as catalogs: an array, one pretty-printed object, objects one after another, or an object
that contains the list.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from mmsearch.errors import CatalogError
from mmsearch.products.formats.ahead import Ahead
from mmsearch.products.formats.documents import json_place
from mmsearch.products.formats.documents.json_scan import BrokenError, Scanner
from mmsearch.products.formats.found import Found
from mmsearch.products.record import MAX_LINE_BYTES, Line

WINDOW = 1 << 20
"""bytes in which the list of products is looked for"""


class JsonDocument:
    """The records of a JSON document, numbered from 1, each as the bytes of its own object."""

    def __init__(self, stream: Ahead, name: str, found: Found) -> None:
        window = stream.peek(WINDOW)
        self._name = name
        self._scanner = Scanner(stream)
        self._path, found.beside = json_place.place(window)
        self._inner = json_place.record_key(self._path)
        found.place = ".".join((*self._path, *filter(None, [self._inner])))
        self._number = 0
        if not self._path and (keys := json_place.looks_like_nothing(window)):
            raise CatalogError(
                f"expected a list of products in {name}, got one object with the keys "
                f"{', '.join(keys[:5])}{', …' if len(keys) > 5 else ''}; write the products as a list"
            )

    def __iter__(self) -> Iterator[Line]:
        scanner = self._scanner
        try:
            while sign := scanner.sign():
                yield from self._values(self._path)
                # Objects one after another may be separated by commas.
                if sign == "{" and scanner.sign() == ",":
                    scanner.take(",")
        except BrokenError as broken:
            raise CatalogError(
                f"expected {broken.expected} after record {self._number} of {self._name}, got {broken.got}; "
                "fix the JSON there; the records before are indexed"
            ) from None

    def _values(self, path: json_place.Path) -> Iterator[Line]:
        """Yield the records in the next value: of a list those of its elements, of an object those under the
        path.
        """
        scanner = self._scanner
        if scanner.sign() == "[":
            scanner.take("[")
            while scanner.sign() != "]":
                yield from self._element(path)
                if scanner.sign() != "]":
                    scanner.take(",")
            scanner.take("]")
        elif path and scanner.sign() == "{":
            scanner.take("{")
            while scanner.sign() != "}":
                key = scanner.key()
                scanner.take(":")
                if key == path[0]:
                    yield from self._values(path[1:])
                else:
                    scanner.value(0)
                if scanner.sign() != "}":
                    scanner.take(",")
            scanner.take("}")
        elif path:
            scanner.value(0)  # null instead of a list
        else:
            yield self._record()

    def _element(self, path: json_place.Path) -> Iterator[Line]:
        if path and self._scanner.sign() == "{":
            yield from self._values(path)
        else:
            yield self._record()

    def _record(self) -> Line:
        self._number += 1
        number = self._number
        raw, whole = self._scanner.value()
        if not whole:
            what = f"expected records of at most {MAX_LINE_BYTES} bytes, got a longer record {number}"
            return Line(number, raw, ("line_too_long", what))
        if number == 1 and not raw.startswith(b"{"):
            raise CatalogError(
                f"expected a list of objects in {self._name}, got {ascii(raw[:40])[1:]} as its first "
                "element; write each product as an object"
            )
        if self._inner or b"\n" in raw or b"\r" in raw:
            raw = self._on_one_line(raw)
        return Line(number, raw)

    def _on_one_line(self, raw: bytes) -> bytes:
        """Return a record as the rejects file has it. A broken one stays as it is."""
        try:
            record = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return raw
        if self._inner and isinstance(record, dict) and isinstance(inner := record.get(self._inner), dict):
            return orjson.dumps(inner)
        # Line breaks are between the values only. The rest stays, so that a repeated key is detected.
        return raw.replace(b"\r", b" ").replace(b"\n", b" ")
