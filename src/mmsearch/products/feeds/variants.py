"""Collects the rows of one product from anywhere in a feed.

They are kept in a temporary database of SQLite, which holds 64 MiB of them in memory and the others in a file
that ends with the process. The products come when all rows have been read.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from mmsearch.products.feeds.preset import Rows

MEMORY_KIB = 64 << 10
_TABLES = (
    "CREATE TABLE row (at INTEGER PRIMARY KEY, number INTEGER, body BLOB, parent TEXT)",
    "CREATE TABLE name (name TEXT PRIMARY KEY, at INTEGER) WITHOUT ROWID",
    "CREATE TABLE listed (name TEXT, parent INTEGER)",
    "CREATE TABLE child (at INTEGER PRIMARY KEY, parent INTEGER)",
)
_CHILDREN = (
    """INSERT OR IGNORE INTO child SELECT row.at, name.at FROM row JOIN name ON name.name = row.parent
    WHERE row.parent != '' AND row.at != name.at""",
    """INSERT OR IGNORE INTO child SELECT name.at, listed.parent FROM listed
    JOIN name ON name.name = listed.name WHERE name.at != listed.parent""",
    "CREATE INDEX of_parent ON child (parent)",
)
_FIRSTS = "SELECT at, number, body, parent FROM row WHERE at NOT IN (SELECT at FROM child) ORDER BY at"
_OTHERS = """WITH RECURSIVE below (at) AS (
    SELECT at FROM child WHERE parent = ?
    UNION SELECT child.at FROM child JOIN below ON child.parent = below.at)
    SELECT body FROM row WHERE at IN below ORDER BY at"""
_CIRCLES = """WITH RECURSIVE below (at) AS (
    SELECT at FROM child WHERE parent NOT IN (SELECT at FROM child)
    UNION SELECT child.at FROM child JOIN below ON child.parent = below.at)
    SELECT number, body FROM row WHERE at IN (SELECT at FROM child) AND at NOT IN below ORDER BY at"""


class Gathered(NamedTuple):
    """The rows of one product: first the one that the others are variants of."""

    number: int
    rows: Sequence[Mapping[str, Any]]
    lost: tuple[str, str] | None = None
    """the reason and the message for a row whose product is not there"""


def gathered(rows: Iterable[tuple[int, Mapping[str, Any]]], by: Rows) -> Iterator[Gathered]:
    """Yield the products of rows with their numbers, in the order of the first rows."""
    store = sqlite3.connect("", check_same_thread=False, isolation_level=None)
    try:
        store.execute(f"PRAGMA cache_size = -{MEMORY_KIB}")
        store.execute("PRAGMA journal_mode = OFF")
        for table in _TABLES:
            store.execute(table)
        store.execute("BEGIN")
        _fill(store, rows, by)
        for statement in _CHILDREN:
            store.execute(statement)
        yield from _products(store)
    finally:
        store.close()


def _fill(store: sqlite3.Connection, rows: Iterable[tuple[int, Mapping[str, Any]]], by: Rows) -> None:
    column, expression = by.children
    name_in_list = re.compile(expression)
    for at, (number, row) in enumerate(rows):
        parent = str(row.get(by.parent) or "").strip() if by.parent else ""
        store.execute("INSERT INTO row VALUES (?, ?, ?, ?)", (at, number, orjson.dumps(row), parent))
        key = str(row.get(by.key) or "") if by.key else ""
        for name in (key, *_names(row, by)):
            if not name:
                continue
            new = store.execute("INSERT OR IGNORE INTO name VALUES (?, ?)", (name, at)).rowcount
            if not new and name == key:
                store.execute("INSERT OR IGNORE INTO child SELECT ?, at FROM name WHERE name = ?", (at, name))
        if column and isinstance(row.get(column), str):
            names = name_in_list.findall(row[column])
            store.executemany("INSERT INTO listed VALUES (?, ?)", [(name, at) for name in names])


def _names(row: Mapping[str, Any], by: Rows) -> Iterator[str]:
    """Yield the names by which variants refer to a row: `id:ID` is `id:` followed by the value of ID."""
    for name in by.names:
        prefix, colon, column = name.rpartition(":")
        if row.get(column) not in (None, ""):
            yield f"{prefix}{colon}{row[column]}"


def _products(store: sqlite3.Connection) -> Iterator[Gathered]:
    for at, number, body, parent in store.execute(_FIRSTS):
        row = orjson.loads(body)
        if parent:
            what = (
                f"expected the product {parent[:60]!a} of the variant on line {number}, got none; add its row"
            )
            yield Gathered(number, [row], ("no_parent", what))
        else:
            yield Gathered(number, [row, *(orjson.loads(each) for (each,) in store.execute(_OTHERS, (at,)))])
    for number, body in store.execute(_CIRCLES):
        what = f"expected the row on line {number} to be no variant of its own variant, got a circle"
        yield Gathered(number, [orjson.loads(body)], ("no_parent", what))
