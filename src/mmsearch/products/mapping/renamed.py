"""Reads the values of mmsearch's fields in a record from the sources of `--map`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmsearch.errors import ArgumentError
from mmsearch.products import translations
from mmsearch.products.mapping.paths import Place, without
from mmsearch.products.mapping.sources import found

KNOWN = ("id", "title", "description", "category", "brand", "price", "currency", "image", "images", "group")
"""the fields of a record that are no attributes"""
MARK = "_preset"
"""the key by which a record says that a preset has mapped it"""
Values = dict[str, Any]


def require_known(renames: Mapping[str, str]) -> None:
    """Raise ArgumentError for an unknown field, and for a source that is not a text."""
    for name, source in renames.items():
        if name not in KNOWN and not translations.translation(name):
            raise ArgumentError(
                f"expected the keys of map out of {', '.join(KNOWN)}, or a translation such as title_de, got "
                f"{name!r}; for example title=product_name"
            )
        if not isinstance(source, str) or not source.strip():
            raise ArgumentError(
                f"expected the name of a column for {name}, got {source!r}; for example title=product_name"
            )


def renamed(record: Mapping[str, Any], renames: Mapping[str, str]) -> tuple[Values, Values]:
    """Return the values of mmsearch's fields, and the rest of the record.

    The rest does not contain the sources of fields. A column with the name of a field keeps its meaning if it
    is read as a whole; if only a part is read, the remainder is not a field. A replaced value stays in the
    rest under its own name.
    """
    taken: Values = {}
    gone: set[Place] = set()
    for name, source in renames.items():
        value, read = found(record, source, name)
        if value is not None:
            taken[name] = value
            gone.update(place for place in read if len(place) > 1 or place[0] not in KNOWN)
    in_parts = {place[0] for place in gone if len(place) > 1}
    if in_parts:
        left: Values = without(dict(record), gone) or {}
    else:
        left = {name: value for name, value in record.items() if (name,) not in gone}
    values, rest = split({name: value for name, value in left.items() if name not in in_parts})
    for name, value in left.items():
        if name in in_parts:
            _keep(name, value, rest)
    read_whole = set(renames.values())
    for name, value in taken.items():
        before = values.get(name)
        if before not in (None, "", [], value) and name not in read_whole:
            _keep(name, before, rest)
        (values if name in KNOWN else rest)[name] = value
    return values, rest


def split(record: Mapping[str, Any]) -> tuple[Values, Values]:
    """Return the values of our fields, None where there is none, and the rest of the record."""
    rest = dict(record)
    return {name: rest.pop(name, None) for name in KNOWN}, rest


def _keep(name: str, value: Any, rest: Values) -> None:
    """Add the values that no field uses to the rest, including other languages of a text."""
    inner = {name: value}
    if name in translations.TRANSLATED:
        translations.spread(inner, rest)
    if inner[name] is not None:
        rest.setdefault(name, inner[name])
