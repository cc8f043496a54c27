"""The source of a field: a path, several joined by `+`, or the first with a value of several separated by
`|`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from mmsearch.errors import CatalogError
from mmsearch.products.mapping.paths import EACH, Place, columns, places, several, value_at

SHOWN = 30
"""columns that a message lists"""
LISTS = frozenset(("category", "brand", "image", "images"))
"""fields whose sources are concatenated; those of the others are texts, joined by a space"""


@lru_cache(4096)
def alternatives(source: str) -> tuple[tuple[str, ...], ...]:
    """Return the alternatives of a source, each with the paths that are joined.

    `a+b|c` is a and b, or c where neither is there.
    """
    return tuple(
        tuple(path for part in each.split("+") if (path := part.strip())) for each in source.split("|")
    )


def found(record: Mapping[str, Any], source: str, field: str) -> tuple[Any, list[Place]]:
    """Return the value of a field from a source, None where it has none, and the places that were read.

    A key with exactly the name of the source is taken before its parts.
    """
    if source in record:
        return record[source], [(source,)]
    for paths in alternatives(source):
        read: list[Place] = []
        values: list[Any] = []
        for path in paths:
            if path in record:
                read.append((path,))
                values.append(record[path])
                continue
            if "." not in path and path != EACH:
                continue
            there = list(places(record, path))
            read += there
            each = [value_at(record, place) for place in there]
            values.append(each if several(record, path) else each[0] if each else None)
        filled = [value for value in values if not _empty(value)]
        if filled:
            return (filled[0] if len(filled) == 1 else _joined(filled, field)), read
    return None, []


def _empty(value: Any) -> bool:
    return value is None or value == "" or value == []


def _joined(values: Sequence[Any], field: str) -> Any:
    flat = list(_flat(values))
    if field in LISTS or not all(isinstance(each, str | int | float) for each in flat):
        return flat
    return " ".join(str(each).strip() for each in flat)


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        elif not _empty(value):
            yield value


def require_there(
    renames: Mapping[str, str], records: Sequence[Mapping[str, Any]], header: Sequence[str], catalog: str
) -> None:
    """Raise CatalogError for a source that neither the header of the catalog nor any of its first records
    has. A record that only deletes says nothing of the others' columns.
    """
    records = [record for record in records if "_delete" not in record]
    if not (records or header):
        return
    for field, source in renames.items():
        if source in header or any(source in record for record in records):
            continue
        for paths in alternatives(source):
            for path in paths:
                if not _is_there(path, records, header):
                    raise _unknown(field, path, records, header, catalog)


def _is_there(path: str, records: Sequence[Mapping[str, Any]], header: Sequence[str]) -> bool:
    return path in header or any(any(True for _ in places(record, path)) for record in records)


def _unknown(
    field: str, path: str, records: Sequence[Mapping[str, Any]], header: Sequence[str], catalog: str
) -> CatalogError:
    there = list(dict.fromkeys([*header, *(name for record in records for name in columns(record))]))
    near = nearest(path, there)
    hint = f", did you mean {near}?" if near else ";"
    names = ", ".join(there[:SHOWN]) + (f" and {len(there) - SHOWN} more" if len(there) > SHOWN else "")
    return CatalogError(
        f"expected {field} from a column of {catalog}, got {path[:80]!r}, which it does not have{hint} "
        f"its columns are {names}"
    )


def nearest(name: str, names: Sequence[str]) -> str:
    """Return the name that a misspelt one most likely means, or an empty text."""
    plain = {_plain(each): each for each in reversed(names)}
    close = difflib.get_close_matches(_plain(name), list(plain), n=1, cutoff=0.6)
    if close:
        return plain[close[0]]
    # A path of which only the end is right, or a name that is part of a longer one.
    end = _plain(name.rpartition(".")[2])
    return next((each for each in names if len(end) > 2 and _plain(each).endswith(end)), "")


def _plain(name: str) -> str:
    return name.lower().replace("_", " ").replace("-", " ").strip()
