"""The header of a table, and its rows as records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from mmsearch.errors import CatalogError

MAX_COLUMNS = 10_000
ABOVE = 20
"""rows among which the header is looked for"""


def header_at(rows: Iterable[Sequence[Any]]) -> int:
    """Return which of the first rows is the header: the first that has at least half as many filled cells as
    any. Above it there may be a title or a comment.
    """
    filled = [sum(cell not in ("", None) for cell in row) for row in islice(rows, ABOVE)]
    most = max(filled, default=0)
    enough = max(min(2, most), most / 2)
    return next((number for number, count in enumerate(filled) if count >= enough), 0)


class Header:
    """Column names of a table. A column without a name is `column_N`; columns of one name are one list."""

    def __init__(self, cells: Sequence[Any], name: str) -> None:
        written = ["" if cell is None else str(cell).strip() for cell in cells]
        while written and not written[-1]:
            written.pop()
        self.columns = tuple(each or f"column_{number}" for number, each in enumerate(written, 1))
        counts = Counter(self.columns)
        if not self.columns or counts["id"] > 1:
            raise CatalogError(
                f"expected a header with distinct column names in {name}, got {list(self.columns[:20])}"
            )
        if len(self.columns) > MAX_COLUMNS:
            raise CatalogError(f"expected at most {MAX_COLUMNS} columns in {name}, got {len(self.columns)}")
        self._repeated = {each for each, count in counts.items() if count > 1}

    def record(self, cells: Sequence[Any]) -> dict[str, Any] | None:
        """Return a row as a record, without its empty cells; None if the row does not have the header's
        columns. What is beyond them may only be empty.
        """
        extra = len(cells) - len(self.columns)
        if extra < 0 or (extra and any(cells[-extra:])):
            return None
        if not self._repeated:
            return {
                key: cell for key, cell in zip(self.columns, cells, strict=False) if cell not in ("", None)
            }
        found: dict[str, Any] = {}
        for key, cell in zip(self.columns, cells, strict=False):
            if cell in ("", None):
                continue
            if key in self._repeated:
                found.setdefault(key, []).append(cell)
            else:
                found[key] = cell
        return {
            key: cell[0] if key in self._repeated and len(cell) == 1 else cell for key, cell in found.items()
        }
