"""A line that changes some fields of a product that is there, or deletes it.

What no tower reads (a price, attributes) is a partial document, which OpenSearch merges by itself: nothing is
read before and nothing is encoded. A text or a picture makes the line whole again, out of what the index
holds, so that the product goes the way of any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from mmsearch.errors import RecordError
from mmsearch.ingest.item import Item
from mmsearch.ingest.product_index.bulk import not_there
from mmsearch.ingest.product_index.foreign_fields import Stored, attributes_of_others
from mmsearch.ingest.product_index.target import known_of
from mmsearch.ingest.schema.fields import Schema, translated
from mmsearch.products.record import Line, Product, load, product

_LINE = orjson.OPT_APPEND_NEWLINE


def parse_partial(
    line: Line, renames: Mapping[str, str] | None = None, language: str | None = None
) -> Product:
    """A Product of which only what the line carries is set.

    Raises RecordError as `records.parse` does, and for a field without a value, since leaving it as it is and
    removing it are both what that could mean.
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
            f"{line.number}; leave the field out, or bring the whole product without --partial",
            line=line.number,
            field=empty,
        )
    elif found.price is None and not (found.attributes or reads_more(found)):
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
    """Whether a partial line has what a tower reads, so that the rest of the product is needed beside it."""
    return bool(found.title or found.description or found.category or found.brand or found.pictures)


def deletion(line: Line, found: Product) -> Item:
    """The item that deletes a product."""
    return _change(line, found, b'{"delete":{"_id":%b}}\n' % orjson.dumps(found.id))


def small_change(line: Line, found: Product, schema: Schema) -> Item:
    """The item that changes fields that no tower reads."""
    # Without their hash a later whole line finds the fields changed, and puts them as the catalog has them.
    fields: dict[str, Any] = {"ingest": {"fields": ""}}
    if found.price is not None:
        fields["price"] = found.price
    fields |= schema.attributes(found.attributes)
    head = b'{"update":{"_id":%b,"retry_on_conflict":3}}\n' % orjson.dumps(found.id)
    return _change(line, found, head + orjson.dumps({"doc": fields}, option=_LINE))


def completed(line: Line, found: Product, stored: Stored | None, max_text_bytes: int, schema: Schema) -> Item:
    """The whole product that a partial line makes of the stored one.

    Raises DocumentError when there is none, RecordError when its picture would be needed and is not kept.
    """
    if stored is None:
        raise not_there(found.id)
    old = stored.source
    others = attributes_of_others(old)
    kept = {name: value for name, value in (old.get("attributes") or {}).items() if name not in others}
    whole = Product(
        line=line.number,
        id=found.id,
        title=found.title or old.get("title", ""),
        description=found.description or old.get("description", ""),
        category=found.category or _several(old.get("category")),
        brand=found.brand or _several(old.get("brand")),
        price=old.get("price") if found.price is None else found.price,
        pictures=found.pictures or _several(old.get("image")),
        attributes={**kept, **translated(old), **found.attributes},
    )
    item = Item.of(line, whole, max_text_bytes, schema)
    known = item.known = known_of(old.get("ingest") or {})
    if found.pictures:
        return item
    if not known.image or item.text_hash == known.text:
        # The vectors that are there say all there is to say about the picture.
        item.settled = True
        item.image_hash, item.image_error = known.image, known.image_error
    elif not whole.pictures:
        raise RecordError(
            "picture_not_kept",
            f"expected a picture beside the new text of {found.id!a} on line {line.number}, got a product "
            "whose data: picture the index does not keep; bring the whole product without --partial",
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


def _several(value: Any) -> tuple[str, ...]:
    if not value:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
