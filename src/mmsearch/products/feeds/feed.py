"""A catalog as it is read: its columns are checked by its first records before any is passed on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from mmsearch.errors import RecordError
from mmsearch.products.mapping.sources import require_there
from mmsearch.products.record import Line, load

LINES = 1_000
BYTES = 8 << 20
"""the first records end where either is reached"""


class Source(Protocol):
    """A catalog: its lines, once, and how much of it has been read."""

    def __iter__(self) -> Iterator[Line]: ...
    def share(self) -> float: ...
    def close(self) -> None: ...


class Feed:
    """The lines of a source, after a check that they have what `renames` (`--map`) reads.

    Iterating raises CatalogError if neither the header nor any of the first records has a column that
    `renames` names.
    """

    def __init__(self, source: Source, renames: Mapping[str, str] | None = None) -> None:
        self._source = source
        self._renames = dict(renames or {})

    def share(self) -> float:
        return self._source.share()

    def close(self) -> None:
        self._source.close()

    def __iter__(self) -> Iterator[Line]:
        lines = iter(self._source)
        if not self._renames:
            return lines
        first = list(_first(lines, LINES))
        require_there(self._renames, _records(first), self._header(), self._name())
        return itertools.chain(first, lines)

    def _header(self) -> Sequence[str]:
        """The columns of a table, also those without a value in the first rows."""
        return tuple(getattr(self._source, "columns", ()))

    def _name(self) -> str:
        path = str(getattr(self._source, "path", "-"))
        return "the catalog" if path == "-" else path


def _first(lines: Iterator[Line], most: int) -> Iterator[Line]:
    size = 0
    for line in itertools.islice(lines, most):
        yield line
        size += len(line.raw)
        if size >= BYTES:
            return


def _records(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Return the records of the lines that are some."""
    found = []
    for line in lines:
        if line.trouble is None:
            try:
                found.append(load(line.raw, line.number))
            except RecordError:
                continue  # it is rejected where it is parsed
    return found
