"""Text in any supported encoding as UTF-8: the encoding is told by a byte order mark, zeros, or the bytes."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable
from typing import Any

from mmsearch.errors import CatalogError
from mmsearch.products.formats.ahead import Ahead
from mmsearch.products.formats.found import Found

CHUNK = 1 << 20
SAMPLE = 4 << 10
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_VALID = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)  # sequences of UTF-8, roughly
_WORD = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")
_LETTERS = bytes((0x8A, 0x8C, 0x8E, 0x9A, 0x9C, 0x9E, 0x9F, *range(0xC0, 0xD7), *range(0xD8, 0xF7)))
_LETTERS += bytes(range(0xF8, 0x100))
_SIGNS = "€‚„…‘’“”•–—™\xa0£§©«\xad®°±²³´µ·¹»½¼¾×º".encode("cp1252")
_BETWEEN = "’‘´–—…\xa0\xad·/".encode("cp1252")
"""signs that stand inside words"""
_ALONE = "àâéèêôöüäßåæøñùçÀÂÉÈÖÜÄÅÆØ".encode("cp1252")
"""letters that stand alone"""
_CAPITAL_INSIDE = re.compile(rb"[a-z\xdf-\xf6\xf8-\xff][\x8a\x8c\x8e\x9f\xc0-\xd6\xd8-\xde]")
_ASCII = re.compile(rb"[A-Za-z]")
_DECLARED = re.compile(
    r"(?:us-?ascii|latin-?1|(?:windows|cp|ibm)-?\d{3,4}|iso-?8859-?\d{1,2}|koi8-[ru]|shift[_-]?jis|euc[_-](?:jp|kr)"
    r"|gb(?:k|2312|18030)|big5|utf-?16(?:-?[lb]e)?)",
    re.IGNORECASE,
)
ENOUGH = 0.8
"""share of the words with non-ASCII bytes that have to make sense"""
Say = Callable[[str], None]


def _c1(error: UnicodeError) -> tuple[str, int]:
    """The five bytes that cp1252 leaves open are control characters, as browsers read them."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("mmsearch.c1", _c1)


class Utf8(io.RawIOBase):
    """A stream of text as UTF-8, without a byte order mark.

    UTF-8 stays as it is, damaged bytes included, which the record parser rejects line by line. `found` has
    the encoding; it is known for certain only at the first byte that is not ASCII, and `say` is called if it
    is another one than UTF-8. `declared` is the encoding that the text itself names.
    """

    def __init__(self, source: Ahead, name: str, found: Found, say: Say, declared: str = "") -> None:
        self._source = source
        self._name = name
        self._found = found
        self._say = say
        self._settled = False
        self._ready = memoryview(b"")
        self._held = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._ended = False
        encoding = found.encoding = self._detected(declared)
        if encoding != "utf-8":
            self._decode_as(encoding)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._settled and not self._ready:
            return self._source.readinto(buffer)
        while not self._ready and not self._ended:
            self._ready = memoryview(self._next())
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _detected(self, declared: str) -> str:
        begins = self._source.peek(SAMPLE)
        for mark, encoding in _MARKS:
            if begins.startswith(mark):
                self._source.read(len(mark))
                self._settled = encoding == "utf-8"
                return encoding
        if wide := _wide(begins):
            return wide
        if declared and declared.lower().replace("_", "-") not in ("utf-8", "utf8"):
            if not _DECLARED.fullmatch(declared) or not _known(declared):
                raise CatalogError(
                    f"expected UTF-8 or an encoding that is known in {self._name}, got {declared[:40]!r}; "
                    "save it as UTF-8"
                )
            # What is declared as UTF-16 in single bytes is not.
            return "utf-8" if "16" in declared and "utf" in declared.lower() else _name_of(declared)
        return "utf-8"

    def _decode_as(self, encoding: str) -> None:
        errors = {"cp1252": "mmsearch.c1"}.get(encoding, "surrogatepass" if "utf" in encoding else "strict")
        self._decoder = codecs.getincrementaldecoder(encoding)(errors)

    def _next(self) -> bytes:
        data = self._held + (self._source.read(CHUNK) or b"")
        self._ended = len(data) == len(self._held)
        self._held = b""
        if self._decoder is not None:
            return self._decoded(data)
        if data.isascii():
            return data
        while len(data) < CHUNK and not self._ended and (more := self._source.read(CHUNK)):
            data += more
        # A sequence that the chunk cuts is judged with the next chunk.
        whole = data if self._ended else data[: _cut(data)]
        encoding = "utf-8" if whole.isascii() else self._judged(whole)
        if encoding == "utf-8":
            self._settled = not whole.isascii()
            if self._settled:
                return data
            self._held = data[len(whole) :]
            return whole
        self._found.encoding = encoding
        self._say(
            f"{self._name} is not UTF-8 and is read as {encoding}; if letters are wrong, save it as UTF-8"
        )
        self._decode_as(encoding)
        return self._decoded(data)

    def _decoded(self, data: bytes) -> bytes:
        assert self._decoder is not None
        try:
            return self._decoder.decode(data, final=self._ended).encode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise CatalogError(
                f"expected text in {self._found.encoding} in {self._name}, got other bytes: {error.reason}; "
                "save it as UTF-8"
            ) from None

    def _judged(self, data: bytes) -> str:
        """Return utf-8 or cp1252. Raise CatalogError for bytes that are neither."""
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            rest, valid = _VALID.subn(b" ", data)
        else:
            return "utf-8"
        broken = len(rest) - len(rest.translate(None, bytes(range(0x80, 0x100))))
        if valid >= broken:
            return "utf-8"
        words = _WORD.findall(data)
        if sum(map(_western, words)) >= ENOUGH * len(words):
            return "cp1252"
        lines = [line for line in data.splitlines() if line.strip()]
        bad = sum(not line.isascii() for line in lines)
        if bad < 3 or bad < 0.3 * len(lines):
            return "utf-8"  # damaged lines among good ones
        raise CatalogError(
            f"expected text in UTF-8, UTF-16 or cp1252 in {self._name}, got another encoding; convert it, "
            "for example by: iconv -f ENCODING -t UTF-8"
        )


def _wide(begins: bytes) -> str:
    """Return the encoding of UTF-16 without a byte order mark, or an empty string."""
    even, odd = begins[0::2], begins[1::2]
    low, high = even.count(0), odd.count(0)
    if low + high < 0.1 * len(begins) or len(begins) < 4:
        return ""
    if high > 8 * low and (low == 0 or b"\0\0" not in begins):
        return "utf-16-le"
    if low > 8 * high and (high == 0 or b"\0\0" not in begins):
        return "utf-16-be"
    return ""


def _known(encoding: str) -> bool:
    try:
        codecs.lookup(encoding)
    except LookupError:
        return False
    return True


def _name_of(encoding: str) -> str:
    """Return Python's name of an encoding. Latin-1 is read as cp1252, which contains it, as browsers do."""
    name = codecs.lookup(encoding).name
    return "utf-8" if name == "ascii" else "cp1252" if name == "iso8859-1" else name


def _cut(data: bytes) -> int:
    """Return where the last, incomplete sequence of UTF-8 begins."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            needs = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if needs > back else len(data)
        if byte < 0x80:
            break
    return len(data)


def _western(word: bytes) -> bool:
    """Return whether a word makes sense in cp1252: letters among letters, signs where signs stand."""
    bare = word.strip(_SIGNS)
    if not bare or bare.isascii():
        return True
    letters = bare.translate(None, _BETWEEN)
    if not _ASCII.search(letters):
        return len(letters) == 1 and letters in _ALONE
    if _CAPITAL_INSIDE.search(bare):
        return False  # as Macs wrote
    return not letters.translate(None, _LETTERS + bytes(range(0x80)))
