"""Rows of the Shopping Queries Dataset (Amazon ESCI), in its files and in those of the KDD Cup 2022.

A row of the examples has `query`, `query_id`, `product_id`, `product_locale`, `esci_label`, `small_version`,
`large_version` and `split`; labels are letters, or words in the files of the KDD Cup. SQID adds images to its
products, and judges by the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmsearch.errors import MmsearchError
from mmsearch.products.ids import identifier_or_empty

LABEL = "esci_label"
TRAIN, TEST = "train", "test"
_LABELS = {"exact": "E", "substitute": "S", "complement": "C", "irrelevant": "I"}
_ABOUT = ("product_locale", "query_locale", "source")
"""columns that describe the query"""
_OTHERS = {
    frozenset(("product_id", "image_url")): "image URLs of products; ingest them with --partial",
    frozenset(("product_id", "product_title")): "products; ingest them",
    frozenset(("query_id", "source")): "sources of queries",
    frozenset(("product_id", "clip_image_features")): "features of another model",
    frozenset(("query_id", "clip_text_features")): "features of another model",
}
Only = Mapping[str, str]
"""column → value that the rows must have"""


def is_esci(record: Mapping[str, Any]) -> bool:
    """Return whether a row has the dataset's label."""
    return LABEL in record


def require_judged(record: Mapping[str, Any], path: object) -> None:
    """Raise MmsearchError for the first row of a file that has no judgments."""
    for columns, what in _OTHERS.items():
        if columns <= record.keys() and LABEL not in record:
            raise MmsearchError(
                f"expected judged pairs with a query, a product_id and a label in {path}, got {what}; name "
                "the file of examples"
            )


def selected(record: Mapping[str, Any], only: Only) -> bool:
    """Return whether a row has the wanted value in each column. 1, 1.0 and "1" are equal."""
    return all(_text(record.get(column)) == value.strip() for column, value in only.items())


def label(record: Mapping[str, Any]) -> str:
    """Return the label of a row as E, S, C or I. Raise MmsearchError for any other."""
    written = str(record[LABEL]).strip()
    found = _LABELS.get(written.lower(), written.upper())
    if found not in _LABELS.values():
        raise MmsearchError(f"expected an {LABEL} out of E, S, C, I, got {written[:40]!r}; fix the row")
    return found


def judged(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as a judgment."""
    about = {name: record[name] for name in _ABOUT if record.get(name)}
    asked = {name: record.get(name) for name in ("query_id", "query", "product_id")}
    return {**asked, "label": label(record), **about}


@dataclass(slots=True)
class Chosen:
    """The products of one query: exact matches, and irrelevant ones as hard negatives."""

    exact: list[str] = field(default_factory=list)
    irrelevant: list[str] = field(default_factory=list)


def pairs(records: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield rows, each with its position for messages, as training pairs: each exact match of a query, with
    its irrelevant products as negatives.
    """
    queries: dict[str, Chosen] = {}
    for where, record in records:
        query, product = record.get("query"), identifier_or_empty(record.get("product_id"))
        if not isinstance(query, str) or not query.strip() or not product:
            yield where, dict(record)  # the reader of pairs says what is missing
            continue
        found = label(record)
        if found in "EI":
            chosen = queries.setdefault(query.strip(), Chosen())
            (chosen.exact if found == "E" else chosen.irrelevant).append(product)
    for query, chosen in queries.items():
        negatives = [each for each in dict.fromkeys(chosen.irrelevant) if each not in chosen.exact]
        for product in dict.fromkeys(chosen.exact):
            yield f"query {query!r}", {"query": query, "product_id": product, "negatives": negatives}


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()
