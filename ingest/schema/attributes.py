"""Attributes in an index: which of them have typed fields, and where the others are stored.

    attributes        typed fields: numbers, dates, booleans and keywords; the keywords' words are searched
    other_attributes  a flat_object: rarer names, and values that are not of their field's type
    long_attributes   too long for a term of the index: kept, and not indexed
    attribute_words   the words of `other_attributes`, beside those that the node copies out of the keywords

The three objects have the structure of the record, so together they are the original attributes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from mmsearch.products.values.kinds import (
    ANY,
    DATE_FORMAT,
    TYPES,
    fits,
    is_boolean,
    is_code,
    is_date,
    is_integer,
    is_number,
    is_scalar,
)

TYPED, OTHER, LONG, WORDS = "attributes", "other_attributes", "long_attributes", "attribute_words"
PARTS = (TYPED, OTHER, LONG)
"""the fields that a product's attributes are split into"""
DEFAULT_FIELDS = 200
"""attributes that get fields of their own; an index's default limit is 1,000 fields of any kind"""
MOST_FIELDS = 5_000
"""what may be asked for; every field costs each node memory"""
MOST_BYTES = 32_766
"""of a term in OpenSearch"""
SHARE = 0.9
"""of a name's values in the sample, how many have to be of a type for it to be the field's"""
_DEEPEST = 10
_LONGEST_NAME = 255
OURS: Mapping[str, Mapping[str, Any]] = {
    "double": {"type": "double", "ignore_malformed": True},
    "long": {"type": "long", "ignore_malformed": True},
    "date": {"type": "date", "format": DATE_FORMAT, "ignore_malformed": True},
    "boolean": {"type": "boolean"},
    "keyword": {"type": "keyword", "copy_to": [WORDS]},
}
"""type → the field of an attribute; a malformed value comes from other writers"""
_LIMITED = frozenset(("keyword", ANY))
_TEXTS = ("text", "match_only_text", "search_as_you_type")
_NOTHING: tuple[Any, ...] = ("", [], {})


def leaves(attributes: Mapping[str, Any], path: str | None = None) -> Iterator[tuple[str, Any]]:
    """Yield the values that are not objects, with their paths."""
    for name, value in attributes.items():
        inner = name if path is None else f"{path}.{name}"
        if isinstance(value, dict) and value:
            yield from leaves(value, inner)
        else:
            yield inner, value


@dataclass(slots=True)
class _Census:
    """Counts of the values of one path in a sample."""

    products: int = 0
    values: int = 0
    types: Counter[str] = field(default_factory=Counter)
    code: bool = False
    large: bool = False

    def add(self, value: Any) -> None:
        self.products += 1
        for each in value if isinstance(value, list) else [value]:
            if each in _NOTHING:
                continue
            self.values += 1
            if not is_scalar(each):
                continue
            self.types["keyword"] += 1
            self.types["boolean"] += is_boolean(each)
            self.types["date"] += is_date(each)
            self.types["double"] += is_number(each)
            self.types["long"] += is_integer(each)
            self.code = self.code or is_code(each)
            self.large = self.large or (is_integer(each) and not is_number(each))

    def type(self) -> str | None:
        """Return the narrowest type of nearly all values; None if most are objects in lists."""
        number = [] if self.code else ["long"] if self.large else ["double"]
        wanted = ("boolean", "date", *number, "keyword")
        enough = SHARE * self.values
        return next((kind for kind in wanted if self.values and self.types[kind] >= enough), None)


def types_of(
    products: Iterable[Mapping[str, Any]],
    most: int,
    shops: Collection[str] = (),
    known: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Return path → type of the products' attributes that get fields, the most frequent ones first.

    `shops` are the paths with fields of the user; they count towards `most`, but are not returned.
    `known` are earlier types, for paths that these products do not have.
    """
    seen: dict[str, _Census] = {}
    for attributes in products:
        for path, value in leaves(attributes):
            if path not in seen:
                seen[path] = _Census()
            seen[path].add(value)
    chosen: dict[str, str] = {}
    taken = set(shops)
    parents = {parent for path in shops for parent in _parents(path)}
    ranked = [(path, seen[path].type()) for path in sorted(seen, key=lambda each: -seen[each].products)]
    ranked += [(path, kind) for path, kind in known.items() if path not in seen]
    for path, kind in ranked:
        if len(taken) >= most:
            break
        # A name is either a value or an object of values.
        free = path not in taken and path not in parents and taken.isdisjoint(_parents(path))
        if kind is not None and free and _addressable(path):
            chosen[path] = kind
            taken.add(path)
            parents.update(_parents(path))
    return chosen


def _parents(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _addressable(path: str) -> bool:
    """Return whether a field can have this path and be queried by it."""
    parts = path.split(".")
    return (
        len(path.encode()) <= _LONGEST_NAME
        and len(parts) <= _DEEPEST
        and all(part.strip() for part in parts)
        and "*" not in path
        and path.isprintable()
    )


def properties(types: Mapping[str, str]) -> dict[str, Any]:
    """Return the mapping below `attributes` as nested objects, as OpenSearch returns it."""
    made: dict[str, Any] = {}
    for path, kind in types.items():
        *parents, name = path.split(".")
        place = made
        for parent in parents:
            place = place.setdefault(parent, {"properties": {}})["properties"]
        place[name] = dict(OURS[kind])
    return made


def types_in(fields: Mapping[str, Any], *, ours: bool = True) -> dict[str, str]:
    """Return path → type of the attributes with fields in a mapping's `properties`; without `ours`, only
    those that the user created.
    """
    found: dict[str, str] = {}
    for path, about in _paths(fields):
        whole, _, rest = path.partition(".")
        if whole == TYPED and rest and (ours or about not in OURS.values()):
            found[rest] = _type(about)
    return found


def _paths(fields: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, about in fields.items():
        inner = about.get("properties")
        if inner is None or about.get("type", "object") != "object":
            yield name, about
        else:
            yield from ((f"{name}.{path}", each) for path, each in _paths(inner))


def has_types(fields: Mapping[str, Any]) -> bool:
    """Return whether an index with these fields has typed attributes; older ones have one flat_object."""
    kinds = [fields.get(name, {}).get("type", "object") for name in (TYPED, OTHER)]
    return kinds == ["object", "flat_object"]


def shops_alone(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields below `attributes` without those that ingest created."""
    kept: dict[str, Any] = {}
    for name, about in fields.items():
        if "properties" in about and about.get("type", "object") == "object":
            if inner := shops_alone(about["properties"]):
                kept[name] = {**about, "properties": inner}
        elif about not in OURS.values():
            kept[name] = about
    return kept


def _type(about: Mapping[str, Any]) -> str:
    kind = str(about.get("type", "object"))
    if kind == "date":
        return kind if about.get("format") == DATE_FORMAT else ANY
    if kind in _TEXTS:
        return "text"
    return kind if kind in TYPES else ANY


@dataclass(slots=True)
class Split:
    """A product's attributes by field, and the paths of those that are not in their own field.

    `unfit` do not match their field's type and are in `other_attributes`; `long` are in `long_attributes`.
    """

    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    unfit: list[str] = field(default_factory=list)
    long: list[str] = field(default_factory=list)

    def attributes(self) -> dict[str, Any]:
        """Return the original attributes, without translations that have fields."""
        return joined(self.parts)

    def fields(self) -> dict[str, Any]:
        """Return the non-empty fields of the document."""
        return with_words(self.parts)


def split(attributes: Mapping[str, Any], types: Mapping[str, str]) -> Split:
    """Split a product's attributes by the types of an index's fields."""
    found = Split()
    _split(attributes, types, (), found)
    return found


def _split(
    attributes: Mapping[str, Any], types: Mapping[str, str], above: tuple[str, ...], found: Split
) -> None:
    for name, value in attributes.items():
        inner = ".".join((*above, name)) if above else name
        kind = types.get(inner)
        if isinstance(value, dict) and value and kind != ANY:
            if kind is not None:
                found.unfit.append(inner)
            _split(value, types, (*above, name), found)
            continue
        place = found.parts.setdefault(_part(inner, value, kind, found), {})
        for each in above:
            place = place.setdefault(each, {})
        place[name] = value


def _part(path: str, value: Any, kind: str | None, found: Split) -> str:
    if kind is not None and value not in _NOTHING:
        if not fits(kind, value):
            found.unfit.append(path)
        elif kind not in _LIMITED or not _too_long(value):
            return TYPED
    # A flat_object has one value of this form for each leaf.
    if _too_long(value, f"{OTHER}.{OTHER}.{path}="):
        found.long.append(path)
        return LONG
    return OTHER


def _too_long(value: Any, before: str = "") -> bool:
    """Return whether a term of the value with its prefix would be too long."""
    if isinstance(value, dict):
        return any(_too_long(each, f"{before}.{name}" if before else "") for name, each in value.items())
    if isinstance(value, list):
        return any(_too_long(each, before) for each in value)
    size = len(before) + (len(value) if isinstance(value, str) else 0)
    # A character has at most four bytes.
    return 4 * size > MOST_BYTES and len(f"{before}{value}".encode()) > MOST_BYTES


def joined(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the original attributes of a stored product."""
    whole: dict[str, Any] = {}
    for part in PARTS:
        there = source.get(part)
        if isinstance(there, dict):
            whole = _over(whole, there)
    return whole


def _over(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in top.items():
        before = merged.get(name)
        merged[name] = _over(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged


def names(source: Mapping[str, Any]) -> list[str]:
    """Return the names of the attributes in a document's fields, each once."""
    return list(dict.fromkeys(name for part in PARTS for name in source.get(part, ())))


def with_words(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with the words of its flat attributes."""
    rest = {name: value for name, value in source.items() if name != WORDS}
    found = list(_texts(source.get(OTHER)))
    return rest | ({WORDS: found} if found else {})


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value:
            yield value
        return
    inner: Sequence[Any] = (
        list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ()
    )
    for each in inner:
        yield from _texts(each)
