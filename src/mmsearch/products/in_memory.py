"""Products passed by a program as a catalog: dicts, or the rows of a pandas DataFrame."""

from __future__ import annotations

import base64
import datetime
import json
import math
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Protocol, cast

import numpy as np
import orjson

from mmsearch.products.mapping.renamed import KNOWN
from mmsearch.products.record import Line

ROWS = 512
"""rows of a DataFrame converted to dicts at a time"""
SHOWN = 200
"""maximum length in the rejects file of a record that cannot be written as JSON, in characters"""


class Frame(Protocol):
    """The part of the pandas DataFrame interface that is used here. A protocol keeps pandas optional."""

    @property
    def columns(self) -> Any: ...
    @property
    def iloc(self) -> Any: ...
    def to_dict(self, orient: Any) -> Any: ...
    def __len__(self) -> int: ...


class InMemoryCatalog:
    """An iterator over the products as catalog lines; can be iterated once. The first product is line 1.

    None, NaN, NaT and NA are treated as missing. `bytes` become `data:` URIs, so that an image can be passed
    by content. Dates, decimals, paths, UUIDs, numpy scalars and arrays are converted to JSON types. A record
    with a value of any other type is rejected.
    """

    path = "-"
    """like standard input, it cannot be read twice"""

    def __init__(self, products: Iterable[Any] | Frame) -> None:
        self._rows: Iterable[Any] = rows_of(products)
        self._total = len(products) if isinstance(products, Sized) else 0
        self._read = 0

    def share(self) -> float:
        """Return the share of the products read, 0 to 1; 0 when the length is unknown."""
        return self._read / self._total if self._total else 0.0

    def close(self) -> None:
        """Do nothing: no file is open."""

    def __iter__(self) -> Iterator[Line]:
        for number, record in enumerate(self._rows, 1):
            self._read = number
            yield line_of(number, record)


def rows_of(records: Iterable[Any] | Frame) -> Iterable[Any]:
    """Yield the rows of a pandas DataFrame as dicts, converted 512 at a time; return any other iterable
    unchanged.
    """
    return _rows(records) if is_frame(records) else cast(Iterable[Any], records)


def is_frame(value: object) -> bool:
    """Return whether the value is a pandas DataFrame, without importing pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def _rows(frame: Any) -> Iterator[dict[str, Any]]:
    if "id" not in frame.columns and frame.index.name == "id":
        frame = frame.reset_index()
    for start in range(0, len(frame), ROWS):
        for row in frame.iloc[start : start + ROWS].to_dict("records"):
            yield {str(name): value for name, value in row.items()}


def line_of(number: int, record: Any) -> Line:
    """Return one record as a line of JSON Lines."""
    if not isinstance(record, Mapping):
        what = f"expected a dict as product {number}, got {type(record).__name__}"
        return Line(number, _shown(record), ("wrong_type", what))
    try:
        return Line(number, orjson.dumps({_key(key): _plain(key, value) for key, value in record.items()}))
    except (TypeError, ValueError, RecursionError) as error:
        why = "it is nested without end" if isinstance(error, RecursionError) else str(error)
        what = f"expected values that JSON has in product {number}, got others: {why}"
        return Line(number, _shown(record), ("not_json", what))


def _plain(key: str, value: Any) -> Any:
    """Return the value of a field as a JSON type; an infinite number is the text that JSON lines have."""
    if key not in KNOWN and isinstance(value, float | np.floating) and math.isinf(value):
        return json.dumps(float(value))
    return plain(value)


def plain(value: Any) -> Any:
    """Convert a value to a JSON type. Raise TypeError or ValueError if there is none."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float | np.floating):
        if math.isinf(value):
            raise ValueError("a number that is infinite")
        return None if math.isnan(value) else float(value)
    if isinstance(value, Mapping):
        return {_key(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, bytes | bytearray | memoryview):
        return "data:;base64," + base64.b64encode(value).decode()
    if isinstance(value, Sequence | set | frozenset):
        return [plain(inner) for inner in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return plain(float(value))
    if isinstance(value, PurePath | uuid.UUID):
        return str(value)
    raise TypeError(f"a value of type {type(value).__name__}")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a key of type {type(key).__name__}")
    return key


def _shown(record: Any) -> bytes:
    return repr(record)[:SHOWN].encode("utf-8", "backslashreplace")
