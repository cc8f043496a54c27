"""XML as elements in bounded memory, without what makes XML dangerous: no entities are defined or loaded."""

from __future__ import annotations

import html.entities
import re
from collections.abc import Callable, Mapping
from pyexpat import ExpatError, ParserCreate, errors
from typing import Any

from mmsearch.errors import CatalogError
from mmsearch.products.formats.ahead import Ahead

CHUNK = 1 << 18
MAX_TOKEN = 40 << 20
"""bytes of one tag with its attributes, or of a comment"""
MAX_NESTED = 200
_DECLARED = re.compile(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._:-]+)""")
_ENTITIES = {name.removesuffix(";"): text for name, text in html.entities.html5.items() if name.endswith(";")}


def declared(begins: bytes) -> str:
    """Return the encoding that an XML declaration names; empty if there is none."""
    found = _DECLARED.match(begins.removeprefix(b"\xef\xbb\xbf"))
    return found[1].decode("ascii") if found else ""


class XmlEvents:
    """Parses UTF-8 XML and calls `start(name, attributes)`, `text(characters)` and `end(name)`.

    HTML's named entities, which feeds use without declaring them, are read as their characters. Raises
    CatalogError for XML that is not well formed and for entities of its own: they can expand without limit,
    or read files.
    """

    def __init__(
        self,
        name: str,
        start: Callable[[str, Mapping[str, str]], None],
        text: Callable[[str], None],
        end: Callable[[str], None],
    ) -> None:
        self._name = name
        self._depth = 0
        self._start = start
        self._end = end
        self._text = text
        self._fed = 0
        parser = self._parser = ParserCreate("utf-8")
        parser.buffer_text = True
        parser.buffer_size = 1 << 16
        # Undeclared entities are then told as skipped, not as errors; nothing external is read.
        parser.UseForeignDTD(True)
        parser.StartElementHandler = self._began
        parser.EndElementHandler = self._ended
        parser.CharacterDataHandler = text
        parser.SkippedEntityHandler = self._skipped
        parser.EntityDeclHandler = self._declares

    def feed(self, data: bytes) -> None:
        """Parse more of the file; no bytes end it. White space before it, which XML forbids, is skipped."""
        if not self._fed and data and not (data := data.lstrip()):
            return
        try:
            self._parser.Parse(data, not data)
        except ExpatError as error:
            raise CatalogError(
                f"expected well-formed XML in {self._name}, got: {errors.messages[error.code]} on line "
                f"{error.lineno}; fix it there, or export it again"
            ) from None
        self._fed += len(data)
        if self._fed - max(0, self._parser.CurrentByteIndex) > MAX_TOKEN:
            raise CatalogError(
                f"expected tags of at most {MAX_TOKEN >> 20} MiB in {self._name}, got a longer one on line "
                f"{self._parser.CurrentLineNumber}"
            )

    def _began(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_NESTED:
            raise CatalogError(
                f"expected elements at most {MAX_NESTED} deep in {self._name}, got more on line "
                f"{self._parser.CurrentLineNumber}"
            )
        self._start(name, attributes)

    def _ended(self, name: str) -> None:
        self._depth -= 1
        self._end(name)

    def _skipped(self, name: str, parameter: bool) -> None:
        if parameter:
            return
        if name not in _ENTITIES:
            raise CatalogError(
                f"expected characters or HTML's entities in {self._name}, got &{name[:40]}; on line "
                f"{self._parser.CurrentLineNumber}; write the character itself"
            )
        self._text(_ENTITIES[name])

    def _declares(self, name: str, *_: Any) -> None:
        raise CatalogError(
            f"expected XML without entities of its own in {self._name}, got a declaration of {name[:40]!r}: "
            "they can expand without limit or read files; write the text itself"
        )


def each_chunk(stream: Ahead) -> Any:
    """Yield the bytes of a stream, and no bytes at its end."""
    while data := stream.read(CHUNK):
        yield data
    yield b""
