"""Presets: data files that define how the feed of a platform is read.

`name` is the name of the platform. `found` lists alternatives; a feed is recognized by one if it has all its
columns. `path~text` is a column whose value contains a text. `[fields]` has the source of each field, as in
`--map`. The others are optional:

    normalize    column names are compared in lower case, with `_` for blanks, and without the prefix `g:`
    records      paths to the products in a record; what else it has is no product
    only         column and values: the records that are products
    values       a column of attributes with locales and scopes, as Akeneo's API has them
    pairs        columns of attributes: a list of objects with name and value, or a text `a=b,c=d`
    drop         columns that are no attributes; `#` stands for a number
    nothing      texts that mean no value
    [options]    name and value: the columns of a variant's options; `none` is the value of no option
    [split]      what separates several values of a field or column, besides the usual
    [levels]     what separates the levels of a category, besides the usual
    [patterns]   expressions of column names for a field; a group `language` or `currency` says which
    [rows]       key: rows with one value of it are one product. parent: names the row that a row is a variant
                 of, by one of `names`. children: an expression for the names of a row's variants in a column
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmsearch.errors import CatalogError
from mmsearch.products.mapping.paths import places, value_at
from mmsearch.products.mapping.renamed import KNOWN

FOLDER = Path(__file__).parent / "presets"
_WRONG = (AttributeError, IndexError, TypeError)
"""what values of other types raise"""
NONE = "none"
"""the name of no preset: the catalog is read as it is"""


@dataclass(frozen=True, slots=True)
class Rows:
    """How rows of a table form one product."""

    key: str = ""
    parent: str = ""
    names: tuple[str, ...] = ()
    children: tuple[str, str] = ("", "")
    """a column, and the expression of a name in it"""


@dataclass(frozen=True, slots=True)
class Preset:
    """How the feed of a platform is read; the module describes the fields."""

    name: str
    fields: Mapping[str, str]
    found: tuple[tuple[str, ...], ...] = ()
    normalize: bool = False
    records: tuple[str, ...] = ()
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    values: str = ""
    pairs: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    nothing: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    split: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[str, str] = field(default_factory=dict)
    patterns: Mapping[str, str] = field(default_factory=dict)
    rows: Rows | None = None

    def score(self, columns: Sequence[str], records: Sequence[Mapping[str, Any]]) -> int:
        """Return the number of columns that identify the platform, 0 if the feed is not from it."""
        there = {normal(name) for name in columns} if self.normalize else set(columns)
        names = [{normal(name): value for name, value in each.items()} for each in records]
        looked_at = names if self.normalize else records
        return max(
            (len(each) for each in self.found if all(_has(name, there, looked_at) for name in each)),
            default=0,
        )


def normal(name: str) -> str:
    """Return a column name as Google writes it in files: `g:image_link` and `Image link` are `image_link`."""
    return name.strip().lower().removeprefix("g:").replace(" ", "_")


def _has(wanted: str, columns: set[str], records: Sequence[Mapping[str, Any]]) -> bool:
    path, _, text = wanted.partition("~")
    if not text:
        return path in columns or any(any(True for _ in places(each, path)) for each in records)
    return any(text in str(value_at(each, place)) for each in records for place in places(each, path))


@lru_cache(1)
def all_presets() -> Mapping[str, Preset]:
    """Return the presets included in mmsearch, by their names for `--preset`."""
    return {path.stem: read(path) for path in sorted(FOLDER.glob("*.toml"))}


def named(name: str) -> Preset | None:
    """Return the preset of a name or in a file; None for `none`. Raise CatalogError for an unknown one."""
    if name == NONE:
        return None
    if name in all_presets():
        return all_presets()[name]
    if Path(name).is_file():
        return read(Path(name))
    raise CatalogError(
        f"expected --preset to be a file or one of {', '.join([*all_presets(), NONE])}, got {name!r}"
    )


def found(columns: Sequence[str], records: Sequence[Mapping[str, Any]]) -> Preset | None:
    """Return the preset that a feed is recognised by, or None."""
    best = max(all_presets().values(), key=lambda each: each.score(columns, records))
    return best if best.score(columns, records) else None


def read(path: Path) -> Preset:
    """Read a preset from a TOML file. Raise CatalogError for an invalid one."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        rows = data.pop("rows", None)
        preset = Preset(rows=None if rows is None else Rows(**_tuples(rows)), **_tuples(data))
        for texts in (preset.fields, preset.options, preset.split, preset.levels, preset.patterns):
            if not all(isinstance(value, str) for value in texts.values()):
                raise TypeError(f"{texts}, whose values are no texts")
        for pattern in (*preset.patterns, preset.rows.children[1] if preset.rows else ""):
            re.compile(pattern)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, *_WRONG, re.error) as error:
        raise CatalogError(f"expected a preset in {path}, got: {error}; copy one of {FOLDER}") from None
    unknown = [name for name in (*preset.fields, *preset.patterns.values()) if name not in KNOWN]
    if unknown:
        raise CatalogError(
            f"expected fields out of {', '.join(KNOWN)} in the preset {path}, got {unknown[0]!r}; rename it"
        )
    return preset


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with tuples for lists, since a preset does not change."""
    return {key: _tuple(value) for key, value in data.items()}


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value
