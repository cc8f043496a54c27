"""Judgments: products that were bought or graded for a query, read from and written to JSON Lines.

One line is one judged pair, for example

    {"query": "oak chair", "product_id": "p1", "label": "E", "purchases": 2}

The query is `query`, `query_image` (a path below the judgments' folder, or a `data:` URI), or both. At least
one of these is required: `label`, one of E, S, C, I (exact, substitute, complement, irrelevant); `purchases`,
a count; `grade`, a number as in TREC qrels. Any other scalar key, such as `category`, describes the query and
can be used for slices.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from mmsearch.errors import MmsearchError
from mmsearch.products.ids import identifier as id_of
from mmsearch.products.in_memory import plain

LABELS = ("E", "S", "C", "I")
_OWN_KEYS = frozenset({"query_id", "query", "query_image", "product_id", "label", "purchases", "grade"})


class Query(NamedTuple):
    """A query: text, an image reference, or both, and scalars that describe it."""

    id: str
    text: str | None = None
    image: str | None = None
    attributes: Mapping[str, str] = MappingProxyType({})

    @property
    def modality(self) -> str:
        """Return `text`, `picture` or `both`; `none` for a query known only by its identifier (TREC
        files).
        """
        if self.text and self.image:
            return "both"
        return "picture" if self.image else "text" if self.text else "none"


@dataclass
class Judgments:
    """Judged pairs by query identifier and product identifier. `queries` has every query, in file order."""

    queries: dict[str, Query] = field(default_factory=dict)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    purchases: dict[str, dict[str, int]] = field(default_factory=dict)
    grades: dict[str, dict[str, float]] = field(default_factory=dict)

    def restricted(self, queries: Iterable[str]) -> Judgments:
        """Return the judgments of the given queries, in the given order."""
        wanted = set(queries)
        return Judgments(
            {key: query for key, query in self.queries.items() if key in wanted},
            {key: pairs for key, pairs in self.labels.items() if key in wanted},
            {key: pairs for key, pairs in self.purchases.items() if key in wanted},
            {key: pairs for key, pairs in self.grades.items() if key in wanted},
        )

    def add(
        self,
        query: Query,
        product: str,
        *,
        label: str | None = None,
        purchases: int | None = None,
        grade: float | None = None,
    ) -> None:
        """Add one judged pair. Purchases of a pair are summed; a conflicting label or grade raises an
        error.
        """
        self.queries.setdefault(query.id, query)
        if label is not None:
            if label not in LABELS:
                raise MmsearchError(
                    f"expected a label out of E, S, C, I, got {label!r}; use one of the four letters"
                )
            _once(self.labels.setdefault(query.id, {}), query.id, product, "label", label)
        if grade is not None:
            _once(self.grades.setdefault(query.id, {}), query.id, product, "grade", grade)
        if purchases is not None:
            counts = self.purchases.setdefault(query.id, {})
            counts[product] = counts.get(product, 0) + purchases


def _once(pairs: dict[str, Any], query: str, product: str, kind: str, value: object) -> None:
    if pairs.setdefault(product, value) != value:
        raise MmsearchError(
            f"expected one {kind} for product {product!r} of query {query!r}, got {pairs[product]!r} and "
            f"{value!r}; "
            "keep one of the two lines"
        )


def query_id(text: str | None, image: str | None) -> str:
    """Return the identifier of a query without one: its text, its image, or both joined by a bar."""
    return " | ".join(part.strip() for part in (text, image) if part and part.strip())


def from_records(pairs: Iterable[Any]) -> Judgments:
    """Build judgments from dicts with the keys of the JSON Lines. None and NaN are missing values.

    A count may be a float without a fraction, as in a table with missing values.
    Raise MmsearchError with the number of the pair, starting at 1.
    """
    judgments = Judgments()
    for number, record in enumerate(pairs, 1):
        try:
            add_record(judgments, _of_table(plain(record)) if isinstance(record, Mapping) else record)
        except (TypeError, ValueError, MmsearchError) as error:
            raise MmsearchError(f"judged pair {number}: {error}") from None
    if not judgments.queries:
        raise MmsearchError("expected judged pairs, got none; give one dict a pair")
    return judgments


def _of_table(record: dict[str, Any]) -> dict[str, Any]:
    """Convert types of tables to those of JSON Lines."""
    count = record.get("purchases")
    if isinstance(count, float) and count.is_integer():
        record["purchases"] = int(count)
    return record


def add_record(judgments: Judgments, record: Any) -> None:
    """Add the judged pair of one record. Raise MmsearchError for an invalid record."""
    if not isinstance(record, dict):
        raise MmsearchError(f"expected a JSON object, got {type(record).__name__}; write one object a line")
    text, image = (_text(record, key) for key in ("query", "query_image"))
    product = _identifier(record, "product_id")
    if not product:
        raise MmsearchError("expected a `product_id`, got none; name the judged product")
    query = _identifier(record, "query_id") or query_id(text, image)
    if not query:
        raise MmsearchError("expected `query`, `query_image` or `query_id`, got none; add the query")
    if not any(record.get(key) is not None for key in ("label", "purchases", "grade")):
        raise MmsearchError("expected `label`, `purchases` or `grade`, got none; add the judgment")
    attributes = {
        key: str(value)
        for key, value in record.items()
        if key not in _OWN_KEYS and isinstance(value, str | int | float | bool)
    }
    judgments.add(
        Query(query, text, image, attributes),
        product,
        label=_text(record, "label"),
        purchases=_count(record, "purchases"),
        grade=_number(record, "grade"),
    )


def _text(record: Mapping[str, Any], key: str) -> str | None:
    value = record.get(key)
    if value is not None and not isinstance(value, str):
        raise MmsearchError(f"expected text in `{key}`, got {value!r}; put it in quotes")
    return value


def _identifier(record: Mapping[str, Any], key: str) -> str:
    try:
        return id_of(record.get(key))
    except ValueError as error:
        raise MmsearchError(f"expected {error} in `{key}`, got {record[key]!r}; name the id alone") from None


def _count(record: Mapping[str, Any], key: str) -> int | None:
    value = record.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MmsearchError(f"expected a whole number from 0 in `{key}`, got {value!r}; write a count")
    return value


def _number(record: Mapping[str, Any], key: str) -> float | None:
    value = record.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise MmsearchError(f"expected a number in `{key}`, got {value!r}; write it without quotes")
    return value


def records(judgments: Judgments) -> Iterator[dict[str, object]]:
    """Yield each judged pair as a record of JSON Lines, for a round trip through `read_judgments`."""
    for identifier, query in judgments.queries.items():
        kinds: dict[str, Mapping[str, object]] = {
            "label": judgments.labels.get(identifier, {}),
            "purchases": judgments.purchases.get(identifier, {}),
            "grade": judgments.grades.get(identifier, {}),
        }
        about: dict[str, object] = {}
        if query_id(query.text, query.image) != identifier:
            about["query_id"] = identifier
        if query.text:
            about["query"] = query.text
        if query.image:
            about["query_image"] = query.image
        products = dict.fromkeys(product for pairs in kinds.values() for product in pairs)
        for product in products:
            judged = {kind: pairs[product] for kind, pairs in kinds.items() if product in pairs}
            yield {**about, "product_id": product, **judged, **query.attributes}


def write_jsonl(judgments: Judgments, path: Path) -> int:
    """Write one line per judged pair and return the number of lines."""
    count = 0
    with path.open("w", encoding="utf-8") as lines:
        for record in records(judgments):
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")
            count += 1
    return count


def write_csv(judgments: Judgments, path: Path) -> int:
    """Write one row per judged pair, with the columns of JSON Lines, and return the number of rows."""
    found = list(records(judgments))
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(dict.fromkeys(column for record in found for column in record)))
        table.writeheader()
        table.writerows(found)
    return len(found)
