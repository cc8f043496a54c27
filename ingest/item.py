"""A product between a catalog line and the index."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from mmsearch.errors import PictureError
from mmsearch.images.data_uri import is_data_uri
from mmsearch.ingest.schema.attributes import Split, names
from mmsearch.ingest.schema.fields import Schema
from mmsearch.products.record import Line, Product
from mmsearch.products.text import digest, text_digest, tower_text
from mmsearch.products.values.cells import levels


@dataclass(frozen=True, slots=True)
class Known:
    """State of a product in the index: hashes of each tower's input and of the stored fields."""

    text: str
    image: str
    fields: str
    modalities: tuple[str, ...] = ()
    image_error: str = ""


@dataclass(slots=True)
class Item:
    """A product with the results of the stages."""

    line: Line
    product: Product
    source: dict[str, Any]
    text: str
    text_hash: str
    fields_hash: str
    known: Known | None = None
    force: bool = False
    pictures: tuple[bytes, ...] = ()
    image_hash: str = ""
    colours: tuple[str, ...] = ()
    """names of the dominant colours of its first image, if that was decoded"""
    image_error: str = ""
    vectors: dict[str, Any] = field(default_factory=dict)
    failed: bool = False
    trouble: PictureError | None = None
    change: bytes = b""
    """the lines of its bulk action if it is not a whole product: a deletion or a partial update"""
    tries: int = 0
    unread: bool = False
    """whether the encoder knows no word of its text, so that its vectors are those of its images"""
    settled: bool = False
    """whether its images need not be read again"""
    attributes: Split = field(default_factory=Split)

    @classmethod
    def of(cls, line: Line, product: Product, max_text_bytes: int = 0, schema: Schema | None = None) -> Item:
        source, split = stored(product, schema or Schema())
        text = tower_text(product, max_text_bytes)
        return cls(
            line=line,
            product=product,
            source=source,
            text=text,
            text_hash=text_digest(text),
            fields_hash=digest([orjson.dumps(source, option=orjson.OPT_SORT_KEYS)]),
            attributes=split,
        )

    @property
    def references(self) -> tuple[str, ...]:
        """Return the images to be read."""
        return () if self.settled else self.product.pictures

    @property
    def same_input(self) -> bool:
        """Return whether the index has the vectors of exactly this text and these images, so that they can be
        kept.
        """
        known = self.known
        return (
            not self.force
            and known is not None
            and known.text == self.text_hash
            and known.image == self.image_hash
        )

    @property
    def unchanged(self) -> bool:
        known = self.known
        return (
            self.same_input
            and known is not None
            and known.fields == self.fields_hash
            and known.image_error == self.image_error
        )

    def leave_pictures(self, why: PictureError) -> None:
        """Index the product by its text only. The error is stored, so that a later run tries the image
        again.
        """
        self.image_error = why.reason
        self.pictures, self.image_hash, self.colours = (), "", ()
        self.failed, self.trouble = False, None

    def leave_text(self) -> None:
        """Encode the product by its images only. The hash of its text is stored, so that a later run tries
        again only with another text.
        """
        self.text, self.unread = "", True

    def document(self) -> dict[str, Any]:
        """Return the document to be indexed, without the vectors."""
        modalities = [name for name, there in (("text", self.text), ("image", self.image_hash)) if there]
        about: dict[str, Any] = {"modalities": modalities, "fields": self.fields_hash}
        if self.text_hash:
            about["text"] = self.text_hash
        if self.image_hash:
            about["image"] = self.image_hash
        if self.image_error:
            about["image_error"] = self.image_error
        # Distinguishes our attributes from those that other systems add.
        about["attributes"] = names(self.source)
        return {**self.source, **derived(self.product), "ingest": about}

    def weight(self) -> int:
        """Return the approximate memory of the item in bytes."""
        return len(self.line.raw) + sum(map(len, self.pictures)) + 8_000


def derived(product: Product) -> dict[str, Any]:
    """Return the fields that follow from the others, so that no hash needs them.

    A product without a group is one of its own: `collapse` would take all of them for one.
    """
    found: dict[str, Any] = {"group": product.group or product.id}
    if product.category:
        found["category_levels"] = list(levels(product.category))
    return found


def stored(product: Product, schema: Schema) -> tuple[dict[str, Any], Split]:
    """Return the fields of a product as stored in an index with the schema, and its attributes as they were
    split. A `data:` image is not stored.
    """
    source: dict[str, Any] = {}
    if product.title:
        source["title"] = product.title
    if product.description:
        source["description"] = product.description
    for name, values in (("category", product.category), ("brand", product.brand)):
        if values:
            source[name] = values[0] if len(values) == 1 else list(values)
    if product.price is not None:
        source["price"] = product.price
    if product.currency:
        source["currency"] = product.currency
    if product.group:
        source["group"] = product.group
    paths = [reference for reference in product.pictures if not is_data_uri(reference)]
    if paths:
        source["image"] = paths[0] if len(paths) == 1 else paths
    split = schema.split(product.attributes)
    return source | split.fields(), split
