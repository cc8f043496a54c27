"""Partial updates: a line that changes some fields of an indexed product, or deletes it.

Fields that are no tower's input (price, attributes) are sent as a change that OpenSearch merges into the
document; nothing is read or encoded. If the line changes a text or an image, it is completed from the stored
document and then handled as a whole product.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from mmsearch.errors import RecordError
from mmsearch.ingest.item import Item
from mmsearch.ingest.product_index.bulk import not_there
from mmsearch.ingest.product_index.foreign_fields import Stored, attributes_of_others
from mmsearch.ingest.product_index.scripts import CHANGE
from mmsearch.ingest.product_index.target import known_of
from mmsearch.ingest.schema.attributes import PARTS, joined
from mmsearch.ingest.schema.fields import Schema, translated
from mmsearch.products.record import Line, Product, load, product

_LINE = orjson.OPT_APPEND_NEWLINE


def parse_partial(
    line: Line, renames: Mapping[str, str] | None = None, language: str | None = None
) -> Product:
    """Parse a line into a Product that has only the fields of the line.

    Raise RecordError as `records.parse` does, and for a field without a value: it could mean either "keep" or
    "remove".
    """
    if line.trouble is not None:
        raise RecordError(*line.trouble, line=line.number)
    record = load(line.raw, line.number)
    found = product(record, line.number, renames, size=len(line.raw), language=language, partial=True)
    if found.delete:
        return found
    empty = next((name for name, value in record.items() if _empty(value)), None)
    if empty is not None:
        error = RecordError(
            "no_value",
            f"expected a value for each field of a partial line, got none for {empty[:60]!a} on line "
            f"{line.number}; leave the field out, or send the whole product without --partial",
            line=line.number,
            field=empty,
        )
    elif found.price is None and not (found.currency or found.group or found.attributes or reads_more(found)):
        error = RecordError(
            "nothing_to_change",
            f"expected fields beside the `id` on line {line.number}, got none",
            line=line.number,
        )
    else:
        return found
    error.identifier = found.id
    raise error


def _empty(value: Any) -> bool:
    if isinstance(value, dict):
        return not value or any(map(_empty, value.values()))
    return value is None or value in ("", [])


def reads_more(found: Product) -> bool:
    """Return whether a partial line changes a tower's input, so that the rest of the product is needed."""
    return bool(found.title or found.description or found.category or found.brand or found.pictures)


def deletion(line: Line, found: Product) -> Item:
    """Return the item that deletes a product."""
    return _change(line, found, b'{"delete":{"_id":%b}}\n' % orjson.dumps(found.id))


def small_change(line: Line, found: Product, schema: Schema) -> Item:
    """Return the item that updates fields that are no tower's input."""
    # The hash is removed, so that a later whole line detects the difference and restores the catalog's
    # values.
    fields: dict[str, Any] = {"ingest": {"fields": ""}}
    if found.price is not None:
        fields["price"] = found.price
    if found.currency:
        fields["currency"] = found.currency
    if found.group:
        fields["group"] = found.group
    split = schema.split(found.attributes)
    fields |= split.parts
    head = b'{"update":{"_id":%b,"retry_on_conflict":3}}\n' % orjson.dumps(found.id)
    item = _change(line, found, head + orjson.dumps(changed(fields, schema), option=_LINE))
    item.attributes = split
    return item


def changed(fields: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Return the body of an update that merges the fields into a stored document."""
    if schema.types is None or not any(part in fields for part in PARTS):
        return {"doc": fields}
    return {"script": {"lang": "painless", "source": CHANGE, "params": {"change": fields}}}


def completed(line: Line, found: Product, stored: Stored | None, max_text_bytes: int, schema: Schema) -> Item:
    """Return the whole product: the stored one updated by a partial line.

    Raise DocumentError when the product is not in the index, RecordError when its image is needed but was not
    stored.
    """
    if stored is None:
        raise not_there(found.id)
    old = stored.source
    others = attributes_of_others(old)
    kept = {name: value for name, value in joined(old).items() if name not in others}
    whole = Product(
        line=line.number,
        id=found.id,
        title=found.title or old.get("title", ""),
        description=found.description or old.get("description", ""),
        category=found.category or _several(old.get("category")),
        brand=found.brand or _several(old.get("brand")),
        price=old.get("price") if found.price is None else found.price,
        currency=found.currency or old.get("currency", ""),
        pictures=found.pictures or _several(old.get("image")),
        group=found.group or _group(old, found.id),
        attributes={**kept, **translated(old), **found.attributes},
    )
    item = Item.of(line, whole, max_text_bytes, schema)
    known = item.known = known_of(old.get("ingest") or {})
    if found.pictures:
        return item
    if not known.image or item.text_hash == known.text:
        # The stored vectors already represent the image.
        item.settled = True
        item.image_hash, item.image_error = known.image, known.image_error
    elif not whole.pictures:
        raise RecordError(
            "picture_not_kept",
            f"expected a picture with the new text of {found.id!a} on line {line.number}, because the index "
            "keeps no data: pictures, got none; send the whole product without --partial",
            line=line.number,
        )
    return item


def _change(line: Line, found: Product, change: bytes) -> Item:
    return Item(
        line=line,
        product=found,
        source={},
        text="",
        text_hash="",
        fields_hash="",
        settled=True,
        change=change,
    )


def _group(old: Mapping[str, Any], identifier: str) -> str:
    """Return the stored group, which of a product without one is its id."""
    group = str(old.get("group", ""))
    return "" if group == identifier else group


def _several(value: Any) -> tuple[str, ...]:
    if not value:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
