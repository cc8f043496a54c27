"""The first lines of a catalog, inspected before the catalog is read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Protocol

from mmsearch.products.record import Line

LINES = 1_000
BYTES = 8 << 20
"""a sample ends where either is reached"""


class Source(Protocol):
    """A catalog: its lines, once, and how much of it has been read."""

    def __iter__(self) -> Iterator[Line]: ...
    def share(self) -> float: ...
    def close(self) -> None: ...


class Sampled:
    """A catalog whose first lines can be inspected before they are read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lines = iter(source)
        self._first: list[Line] = []

    def first(self, most: int = LINES) -> Sequence[Line]:
        """Return the first lines, which are still to be read. Raise CatalogError."""
        size = sum(len(line.raw) for line in self._first)
        while len(self._first) < most and size < BYTES:
            line = next(self._lines, None)
            if line is None:
                break
            self._first.append(line)
            size += len(line.raw)
        return self._first

    def __iter__(self) -> Iterator[Line]:
        first, self._first = self._first, []
        return itertools.chain(first, self._lines)

    def share(self) -> float:
        return self._source.share()

    def close(self) -> None:
        self._source.close()
