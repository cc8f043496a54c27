"""Scan JSON text value by value in bounded memory, without parsing the values."""

from __future__ import annotations

import io
import re

from mmsearch.products.record import MAX_LINE_BYTES

CHUNK = 1 << 20
KEPT_OF_TOO_LONG = 1 << 10
MAX_KEY = 1 << 16
# Possessive, so that no input makes them slow.
_NESTED = re.compile(rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_STRING = re.compile(rb"(?:[^\"\\]++|\\.)*+", re.DOTALL)
_SCALAR = re.compile(rb'[^"\[\]{},: \t\r\n]*+')
_SPACE = re.compile(rb"[ \t\r\n]*+")
_OPEN, _QUOTE = b"[{", 0x22


class BrokenError(Exception):
    """The text is not JSON here, or ends too soon."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected = expected
        self.got = got


class Scanner:
    """Reads values and signs of a stream of JSON text, one after another."""

    def __init__(self, stream: io.RawIOBase | io.BytesIO) -> None:
        self._stream = stream
        self._buffer = b""
        self._at = 0

    def sign(self) -> str:
        """Return the next character that is not white space, and leave it; empty at the end."""
        while True:
            self._at = self._end_of(_SPACE)
            if self._at < len(self._buffer):
                return chr(self._buffer[self._at])
            if not self._fill(self._at):
                return ""

    def take(self, *signs: str) -> str:
        """Consume and return one of some characters. Raise BrokenError for anything else."""
        found = self.sign()
        if found not in signs:
            raise BrokenError(" or ".join(f"`{each}`" for each in signs), self.shown())
        self._at += 1
        return found

    def key(self) -> str:
        """Consume and return the key of an object."""
        if self.sign() != '"':
            raise BrokenError("a key", self.shown())
        raw, whole = self.value(MAX_KEY)
        if not whole:
            raise BrokenError(f"a key of at most {MAX_KEY} bytes", "a longer one")
        return raw[1:-1].decode("utf-8", "replace")

    def value(self, limit: int = MAX_LINE_BYTES) -> tuple[bytes, bool]:
        """Consume one value. Return its bytes and True, or its beginning and False if it is longer than the
        limit.
        """
        first = self.sign()
        if not first or first in "]},:":
            raise BrokenError("a value", self.shown())
        start, depth, cut = self._at, 0, b""
        in_string = first == '"'
        self._at += in_string
        while True:
            pattern = _STRING if in_string else _NESTED if depth or first in "[{" else _SCALAR
            self._at = self._end_of(pattern)
            # A string may also stop at a backslash whose character is still to be read.
            if self._at < len(self._buffer) and (not in_string or self._buffer[self._at] == _QUOTE):
                if pattern is _SCALAR:
                    break
                sign = self._buffer[self._at]
                self._at += 1
                if sign == _QUOTE:
                    in_string = not in_string
                else:
                    depth += 1 if sign in _OPEN else -1
                if not depth and not in_string:
                    break
                continue
            if not cut and self._at - start > limit:
                cut = self._buffer[start : start + KEPT_OF_TOO_LONG]
            if not self._fill(self._at if cut else start):
                if pattern is _SCALAR:
                    break
                raise BrokenError("a whole value", "the end of the file")
            start = 0
        if cut or self._at - start > limit:
            return cut or self._buffer[start : start + KEPT_OF_TOO_LONG], False
        return self._buffer[start : self._at], True

    def shown(self) -> str:
        """Return what is next, for a message."""
        if not self.sign():
            return "the end of the file"
        return ascii(self._buffer[self._at : self._at + 20])[1:]

    def _end_of(self, pattern: re.Pattern[bytes]) -> int:
        found = pattern.match(self._buffer, self._at)
        assert found is not None
        return found.end()

    def _fill(self, start: int) -> bool:
        """Read more and drop what is before `start`. Return False at the end."""
        # As much again as is kept, so that a long value is copied a few times only.
        more = self._stream.read(max(CHUNK, len(self._buffer) - start))
        if not more:
            return False
        self._buffer = self._buffer[start:] + more
        self._at -= start
        return True
