"""Converts a record of a platform's feed to mmsearch's fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mmsearch.products import translations
from mmsearch.products.feeds.preset import Preset, normal
from mmsearch.products.mapping.paths import places, value_at, without
from mmsearch.products.mapping.renamed import MARK, Values, renamed
from mmsearch.products.mapping.sources import alternatives

_PAIR = re.compile(r"(?:^|,)\s*([\w.-]+)=")
_FIRST = ("id", "title", "description", "currency", "group")
"""fields of which variants have one value; it is that of the first row that has one"""


class Canonical:
    """Converts records by a preset, with replacements by `--map`."""

    def __init__(self, preset: Preset, renames: Mapping[str, str]) -> None:
        self._preset = preset
        self.fields = {**preset.fields, **renames}
        self._patterns = [
            (re.compile(pattern), name) for pattern, name in preset.patterns.items() if name not in renames
        ]
        self._drop = [re.compile(self.column(name)) for name in preset.drop]
        self._columns = {
            path for source in self.fields.values() for each in alternatives(source) for path in each
        }
        self._option = re.compile(self.column(preset.options.get("name", "")))

    @property
    def option_columns(self) -> tuple[str, ...]:
        """The names of columns with names and values of options, `#` for a number."""
        return tuple(self._preset.options[key] for key in ("name", "value") if key in self._preset.options)

    @staticmethod
    def column(name: str) -> str:
        """Return the expression of a column's name, in which `#` stands for a number."""
        return re.escape(name).replace(r"\#", r"(\d+)")

    def products(self, record: Mapping[str, Any]) -> tuple[int, list[Values]]:
        """Return how many entries a record has, and those that are products. A record is its only entry where
        the preset names no paths to others.
        """
        places_within = [place for path in self._preset.records for place in places(record, path)]
        within = [each for place in places_within if isinstance(each := value_at(record, place), dict)]
        entries = within or [dict(record)]
        return len(entries), [each for each in entries if "_delete" in each or self._is_product(each)]

    def _is_product(self, record: Mapping[str, Any]) -> bool:
        for column, wanted in self._preset.only.items():
            value = record.get(column)
            if not any(each in wanted for each in _listed(value)):
                return False
        return True

    def plain(self, record: Mapping[str, Any]) -> Values:
        """Return a record as columns: with the names, attributes and options that the preset tells apart."""
        preset = self._preset
        row: Values = {(normal(key) if preset.normalize else key): each for key, each in record.items()}
        if preset.values and isinstance(row.get(preset.values), dict):
            row |= _scoped(row.pop(preset.values))
        columns = set(row)
        for path in preset.pairs:
            for place in list(places(row, path)):
                for name, value in _pairs(value_at(row, place)):
                    name = f"attribute_{name}" if name in columns else name
                    if name not in row:
                        row[name] = value
                    elif value not in _listed(row[name]):
                        row[name] = [*_listed(row[name]), value]
            row = dict(without(row, set(places(row, path))) or {})
        return {
            name: value
            for name, value in row.items()
            if not (isinstance(value, str) and value in preset.nothing)
            and not any(dropped.fullmatch(name) for dropped in self._drop)
        }

    def record(self, rows: Sequence[Mapping[str, Any]]) -> Values:
        """Return the record of a product from its rows: the product's own first, then its variants.

        Pictures, categories, brands and attributes are those of all rows, and the price is the lowest of the
        variants. Single values come from the first row that has one; those of other rows become attributes
        such as `variant_id`.
        """
        known: dict[str, list[Any]] = {}
        rest: dict[str, list[Any]] = {}
        prices: list[list[Any]] = []
        names: Values = {}
        for each in rows:
            row = dict(each)
            self._take_options(row, names)
            values, attributes = renamed(row, self.fields)
            self._take_patterns(values, attributes)
            prices.append(self._split("price", values.pop("price", None)))
            for found, kept in ((values, known), (attributes, rest)):
                for name, value in found.items():
                    kept.setdefault(name, []).extend(self._split(name, value))
        record: Values = {MARK: self._preset.name}
        by_rows = self._preset.rows
        if by_rows and (by_rows.parent or by_rows.children[0]) and any(prices[1:]):
            prices = prices[1:]  # a product with variants has their prices
        known["price"] = [price for several in prices for price in several]
        for name, several in known.items():
            distinct = _distinct(each for each in several if each not in (None, "", []))
            if name in _FIRST and distinct:
                record[name] = distinct[0]
                rest.setdefault(f"variant_{name}", []).extend(distinct[1:])
            elif distinct:
                record[name] = _one(distinct)
        inner = rest.pop("attributes", [])
        attributes = {
            name: _one(distinct)
            for name, several in rest.items()
            if (distinct := _distinct(each for each in several if each not in (None, "", [])))
        }
        for each in inner:
            attributes |= each if isinstance(each, dict) else {"attributes": each}
        for name in [name for name in attributes if translations.translation(name) or name == "_delete"]:
            record[name] = attributes.pop(name)
        if attributes:
            record["attributes"] = attributes
        return record

    def _take_options(self, row: Values, names: Values) -> None:
        """Make attributes of the columns that name options and their values. A variant's row may have the
        values alone; `names` remembers those of the rows before.
        """
        options = self._preset.options
        if not options:
            return
        numbers = {found[1] for name in (*row, *names) if (found := self._option.fullmatch(name))}
        for number in sorted(numbers, key=int):
            name_at = options["name"].replace("#", number)
            names[name_at] = name = row.pop(name_at, None) or names.get(name_at)
            value = row.pop(options["value"].replace("#", number), None)
            if name and value and value != options.get("none"):
                # An option may have the name of a column.
                name = f"option_{name}" if str(name) in self._columns else str(name)
                row[name] = [part.strip() for part in str(value).split(options.get("separator", "\0"))]

    def _take_patterns(self, values: Values, rest: Values) -> None:
        for name in list(rest):
            for pattern, field in self._patterns:
                found = pattern.fullmatch(name)
                if found is None:
                    continue
                groups = found.groupdict()
                language = translations.code(groups.get("language") or "").partition("-")[0]
                if language:
                    key = translations.key(field, language)
                    if key in rest:
                        continue
                    rest[key] = rest.pop(name)
                elif field in ("image", "images"):
                    values[field] = [*_listed(values.get(field)), *_listed(rest.pop(name))]
                elif values.get(field) in (None, "", []):
                    values[field] = rest.pop(name)
                    if groups.get("currency"):
                        values["currency"] = values.get("currency") or groups["currency"]
                break

    def _split(self, name: str, value: Any) -> list[Any]:
        separator = self._preset.split.get(name)
        found = _listed(value)
        if separator:
            found = [
                part.replace("\\" + separator, separator).strip() if isinstance(part, str) else part
                for each in found
                for part in (
                    re.split(rf"(?<!\\){re.escape(separator)}", each) if isinstance(each, str) else [each]
                )
                if part != ""
            ]
        level = self._preset.levels.get(name)
        if level:
            found = [each.replace(level, " > ") if isinstance(each, str) else each for each in found]
        return found


def _scoped(values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Yield attributes with their locales and scopes as columns: `name-en_US-ecommerce`."""
    for name, several in values.items():
        for each in _listed(several):
            if isinstance(each, dict) and "data" in each:
                suffix = [str(part) for key in ("locale", "scope") if (part := each.get(key))]
                yield "-".join([name, *suffix]), each["data"]
            else:
                yield name, each


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, str):
        starts = list(_PAIR.finditer(value))
        ends = [after.start() for after in starts[1:]] + [len(value)]
        for found, end in zip(starts, ends, strict=False):
            text = value[found.end() : end].strip().strip('"')
            if text:
                yield found[1], text.split("|") if "|" in text else text
        return
    for each in _listed(value):
        if isinstance(each, dict) and isinstance(each.get("name"), str) and "value" in each:
            inner = each["value"]
            if isinstance(inner, dict):
                inner = inner.get("label", inner.get("key", inner))
            yield each["name"], inner


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _one(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _distinct(values: Iterable[Any]) -> list[Any]:
    kept: list[Any] = []
    seen = set()
    for value in values:
        key = repr(value)
        if key not in seen:
            seen.add(key)
            kept.append(value)
    return kept
