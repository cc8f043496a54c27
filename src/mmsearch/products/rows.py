"""Records of any file that a catalog may be, for readers of judgments, pairs and events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from mmsearch.errors import RecordError
from mmsearch.products.catalog import Catalog
from mmsearch.products.record import load

NUMBERS = ("purchases", "grade", "count")
"""columns with numbers, which text tables have as text"""


def rows(path: Path, say: Callable[[str], None] = lambda _: None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the record of each row.

    Raise OSError if there is no file, CatalogError if it cannot be read, and RecordError for a row that is
    not a record.
    """
    with path.open("rb"):
        pass  # the caller says what it expected there
    with closing(Catalog(str(path), None, say)) as catalog:
        as_text = catalog.found.format in ("csv", "tsv")
        for line in catalog:
            if line.trouble is not None:
                raise RecordError(*line.trouble, line=line.number)
            record = load(line.raw, line.number)
            yield line.number, {**record, **_numbers(record)} if as_text else record


def _numbers(record: Mapping[str, Any]) -> dict[str, int | float]:
    found: dict[str, int | float] = {}
    for name in NUMBERS:
        text = record.get(name)
        if isinstance(text, str):
            try:
                number = float(text)
            except ValueError:
                continue  # its reader says what is wrong
            found[name] = int(number) if number.is_integer() else number
    return found
