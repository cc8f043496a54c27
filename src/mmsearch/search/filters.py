"""Builds the filters of a search. Attributes are compared by the type of their field."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import ask
from mmsearch.errors import SearchError
from mmsearch.products.values.cells import leveled
from mmsearch.products.values.kinds import NUMBERS, RANGES, TYPES, fits, is_date, is_integer, is_number

BOUNDS = ("gt", "gte", "lt", "lte")
TEXTS = ("title", "description")
BESIDE = ("currency", "group")
"""fields that older indexes have among the attributes"""
OWN = (*TEXTS, "category", "category_levels", "brand", "price", *BESIDE)
ATTRIBUTES, OTHER = "attributes", "other_attributes"
REMEMBERED = 30.0
"""seconds that an index's fields are taken as they were"""
_NO_TYPES = ("object", "flat_object")
_PERIOD = re.compile(r"[0-9]{4}(-(?:0[1-9]|1[0-2]))?")
"""a year or a month"""
Types = Mapping[str, str]
"""attribute → type of its field; FLAT where all are in one field that compares as text"""
FLAT: Types | None = None


def attributes_in(filters: Iterable[str]) -> list[str]:
    """Return the filters by attributes."""
    return [each for each in filters if each not in OWN]


def types_of(client: OpenSearch, index: str) -> Types | None:
    """Return the types of an index's attributes. Raise AwayError or HttpError.

    For an alias of several indexes, an attribute has a type that all of them can compare by.
    """
    names = f"{ATTRIBUTES},{ATTRIBUTES}.*,{OTHER}"
    return types_by(ask(client, "GET", f"/{index}/_field_caps", params={"fields": names})["fields"])


def types_by(found: Mapping[str, Mapping[str, Any]]) -> Types | None:
    """Return the types of attributes in a response of `_field_caps`: field → type → capabilities."""
    if "flat_object" in found.get(ATTRIBUTES, {}) or "flat_object" not in found.get(OTHER, {}):
        return FLAT
    kinds = {name.removeprefix(f"{ATTRIBUTES}."): _shared(about) for name, about in found.items()}
    return {name: kind for name, kind in kinds.items() if kind}


def _shared(kinds: Iterable[str]) -> str:
    """Return a common type for the types of a field, empty for an object."""
    each = set(kinds) - {"unmapped"}
    if len(each) == 1:
        (kind,) = each
        return kind if kind in TYPES else "" if kind in _NO_TYPES else "keyword"
    return "double" if each <= NUMBERS else "keyword"


class KnownTypes:
    """Cache of the attribute types of a client's indexes, valid for REMEMBERED seconds."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Types | None]] = {}

    def of(self, client: OpenSearch, index: str) -> Types | None:
        """Return the types as `types_of` does."""
        at, types = self._known.get(index, (-REMEMBERED, FLAT))
        if time.monotonic() - at >= REMEMBERED:
            types = types_of(client, index)
            self._known[index] = time.monotonic(), types
        return types


def clause(filters: Mapping[str, Any], types: Types | None = FLAT) -> dict[str, Any] | None:
    """Return the query for all filters; None without filters. Raise SearchError."""
    clauses = [_clause(field, value, types) for field, value in filters.items()]
    if not clauses:
        return None
    return clauses[0] if len(clauses) == 1 else {"bool": {"filter": clauses}}


def _clause(field: str, value: Any, types: Types | None) -> dict[str, Any]:
    """Return the query for one field. Texts are queried by words or keyword; unknown names are attributes."""
    if field in TEXTS and isinstance(value, str):
        return {"match": {field: {"query": value, "operator": "and"}}}
    if field == "category":
        return _category(_checked(field, value))
    if field == "brand":
        return _exactly(f"{field}.keyword", _checked(field, value))
    if field == "category_levels":
        return _exactly(field, _checked(field, value))
    if field in BESIDE:
        one = _checked(field, value)
        return _any(_exactly(asked, one) for asked in (field, f"{ATTRIBUTES}.{field}"))
    if field == "price":
        return _in_range(field, field, value, "double") or _exactly(field, _checked(field, value))
    name = field.removeprefix(f"{ATTRIBUTES}.")
    if types is not None:
        return _attribute(name, value, types)
    if isinstance(value, Mapping):
        raise SearchError(
            f"expected an index that compares {name} by its type for a range, got one that compares all "
            "attributes as text; build its successor by: mmsearch reindex"
        )
    return _exactly(f"{ATTRIBUTES}.{name}", _checked(field, value))


def _category(value: Any) -> dict[str, Any]:
    """Return the query for a category or one of its levels: `A > B` finds A > B and A > B > C."""
    several = isinstance(value, list)
    asked = [leveled(each) if isinstance(each, str) else each for each in (value if several else [value])]
    levels = _exactly("category_levels", asked if several else asked[0])
    return _any((_exactly("category.keyword", value), levels))


def _any(clauses: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"bool": {"should": list(clauses), "minimum_should_match": 1}}


def _attribute(name: str, value: Any, types: Types) -> dict[str, Any]:
    kind = types.get(name)
    if isinstance(value, Mapping) and kind not in RANGES:
        got = "an attribute that is compared as text" if kind is None else f"one of type {kind}"
        raise SearchError(f"expected a number or a date for a range of {name}, got {got}; name its values")
    if ranged := _in_range(name, f"{ATTRIBUTES}.{name}", value, kind or ""):
        return ranged
    # Values that do not match the field's type are in `other_attributes`.
    elsewhere = _exactly(f"{OTHER}.{name}", _checked(name, value))
    several = isinstance(value, list | tuple | set | frozenset)
    typed = [each for each in (value if several else [value]) if kind is not None and _asked(kind, each)]
    should = []
    if kind == "date":
        for each in [each for each in typed if _period(each) != each]:
            typed.remove(each)
            should.append({"range": {f"{ATTRIBUTES}.{name}": {"gte": _period(each), "lte": _period(each)}}})
    if typed:
        should.append(_exactly(f"{ATTRIBUTES}.{name}", typed if several else typed[0]))
    return {"bool": {"should": [*should, elsewhere]}} if should else elsewhere


def _asked(kind: str, value: Any) -> bool:
    """Return whether a field of the type can have the value; a date may be a year or month."""
    if kind == "date":
        return is_date(value) or (isinstance(value, str) and bool(_PERIOD.fullmatch(value)))
    return is_number(value) or fits(kind, value) if kind in NUMBERS else fits(kind, value)


def _in_range(field: str, asked: str, value: Any, kind: str) -> dict[str, Any] | None:
    if not isinstance(value, Mapping):
        return None
    what = "a date or an expression such as now-7d" if kind == "date" else "a number"
    for name, bound in value.items():
        if name not in BOUNDS or not _bounds(kind, bound):
            raise SearchError(
                f"expected {' or '.join(BOUNDS)} with {what} for a range of {field}, got {name}: {bound!r}"
            )
    if not value:
        raise SearchError(f"expected {' or '.join(BOUNDS)} for a range of {field}, got none")
    bounds = {name: _period(bound) for name, bound in value.items()} if kind == "date" else dict(value)
    return {"range": {asked: bounds}}


def _period(value: str) -> str:
    """Return a year or month as date math for all of it; OpenSearch would use only its first day."""
    found = _PERIOD.fullmatch(value)
    return f"{value}||/{'M' if found[1] else 'y'}" if found else value


def _bounds(kind: str, bound: Any) -> bool:
    if kind == "date":
        return isinstance(bound, str) and bool(bound)
    return isinstance(bound, float | int | str) and (is_number(bound) or is_integer(bound))


def _checked(field: str, value: Any) -> Any:
    """Return a filter value or a list of them. Raise SearchError if it is invalid."""
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple | set | frozenset) and all(
        isinstance(each, str | int | float) for each in value
    ):
        return list(value)
    raise SearchError(
        f"expected a text or a number to filter {field} by, a list of them, or for numbers and dates a dict "
        f"of {', '.join(BOUNDS)}, got {value!r}"
    )


def _exactly(asked: str, value: Any) -> dict[str, Any]:
    """Return the clause for one field by its name in the index."""
    return {"terms" if isinstance(value, list) else "term": {asked: value}}
