"""The columns of a feed that are read, and likely matches for missing ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmsearch.products.feeds.preset import normal
from mmsearch.products.mapping.paths import columns, places
from mmsearch.products.mapping.sources import alternatives

_MEANT = {
    "id": """
        id sku code handle product_id productid item_id itemid article_number artikelnummer artikelnr
        article_no item_number part_number asin gtin ean upc mpn uuid guid key identifier nr number
    """,
    "title": """
        title name product_name product_title item_name productname label headline titel bezeichnung
        produktname artikelname nom titre nombre titulo nome
    """,
    "description": """
        description desc body long_description product_description short_description details text
        beschreibung descripcion descrizione body_html about
    """,
    "price": """
        price current_price sale_price regular_price list_price amount preis prix precio prezzo cost
        unit_price retail_price
    """,
    "image": """
        image image_url imageurl image_link img picture picture_url photo photo_url thumbnail image_src
        image_path main_image images bild bild_url bilder foto
    """,
    "category": """
        category categories product_type product_category category_path department kategorie type categorie
        categoria breadcrumbs
    """,
    "brand": """
        brand vendor manufacturer brand_name marke hersteller marque marca maker
    """,
    "group": """
        item_group_id group_id parent_id parent_sku parent product_group parentid
    """,
}
MEANT = {name: words.split() for name, words in _MEANT.items()}
"""our fields, and names by which other feeds have them, the likeliest first"""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a feed's first records: `read` by field, `attributes`, and those that are `empty` or
    `dropped` by the preset.
    """

    read: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def columns_of(
    fields: Mapping[str, str],
    patterns: Mapping[str, str],
    raw: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    header: Sequence[str],
) -> Columns:
    """Return how the columns of records are used: `raw` are the feed's records, `rows` the records converted
    by the preset.
    """
    read: dict[str, tuple[str, ...]] = {}
    for name, source in fields.items():
        paths = [source, *(path for several in alternatives(source) for path in several)]
        there = [path for path in dict.fromkeys(paths) if _is_in(rows, path)]
        if there:
            read[name] = tuple(there)
    names = dict.fromkeys(name for row in rows for name in row)
    for pattern, name in patterns.items():
        found = tuple(column for column in names if re.fullmatch(pattern, column))
        if found:
            read[name] = tuple(dict.fromkeys((*read.get(name, ()), *found)))
    heads = {path.partition(".")[0] for paths in read.values() for path in paths}
    exact = {path for paths in read.values() for path in paths}
    kept = tuple(name for name in names if name not in exact and name not in heads)
    written = dict.fromkeys([*header, *(name for row in raw for name in row)])
    filled = {name for row in raw for name, value in row.items() if value not in (None, "", [])}
    return Columns(
        read,
        kept,
        tuple(name for name in written if name not in filled),
        tuple(name for name in written if name in filled and name not in names and normal(name) not in names),
    )


def _is_in(rows: Iterable[Mapping[str, Any]], path: str) -> bool:
    return any(True for row in rows for _ in places(row, path))


def meant(name: str, there: Iterable[Mapping[str, Any]]) -> str:
    """Return the column that most likely contains a field, or an empty text."""
    paths = dict.fromkeys(path for record in there for path in columns(record))
    plain: dict[str, str] = {}
    for path in paths:
        for written in (path, path.rpartition(".")[2]):
            plain.setdefault(re.sub(r"[\s\-]+", "_", normal(written).lstrip("@")), path)
    return next((plain[word] for word in MEANT.get(name, ()) if word in plain), "")
