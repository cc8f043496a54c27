"""What a dry run tells of a catalog: how it is read, its first product, what is missing, what would help."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmsearch.images.urls import is_url
from mmsearch.ingest.item import Item
from mmsearch.ingest.reporting.losses import Loss
from mmsearch.products.feeds.columns import Columns, meant
from mmsearch.products.feeds.feed import Feed
from mmsearch.products.feeds.preset import NONE

LOOKED_AT = ("title", "description", "category", "brand", "price", "image", "group")
"""fields that are counted"""
EXPECTED = ("title", "description", "category", "price", "image")
"""fields that are missed where no product has them"""


@dataclass
class Survey:
    """Facts of a dry run; `add` is called with each product."""

    preset: str = ""
    """the platform whose feed it is, empty if the columns are read as they are"""
    language: str = ""
    columns: Columns = field(default_factory=Columns)
    first: dict[str, Any] = field(default_factory=dict)
    """the first product as it would be indexed, without vectors and hashes"""
    products: int = 0
    filled: Counter[str] = field(default_factory=Counter)
    """number of products by field that has a value"""
    urls: int = 0
    """number of products with an image by URL"""
    advice: tuple[str, ...] = ()
    """sentences on what is missing, and the option that would help"""

    def add(self, item: Item) -> None:
        """Count a product."""
        if item.change:
            return
        product = item.product
        if not self.products:
            self.first = {"id": product.id, **item.document()}
            del self.first["ingest"]
        self.products += 1
        values: Mapping[str, Any] = {
            **{name: getattr(product, name) for name in LOOKED_AT if name != "image"},
            "price": product.price is not None,
            "image": product.pictures,
        }
        self.filled.update(name for name, value in values.items() if value)
        self.urls += any(map(is_url, product.pictures))

    def end(self, feed: Feed | None, losses: tuple[Loss, ...], *, language: str, fetch: bool) -> None:
        """Add what is known when all products have been read."""
        self.language = language
        if feed is not None:
            self.preset = feed.preset.name if feed.preset else ""
            self.columns = feed.about
        self.advice = tuple(self._advice(feed, losses, fetch=fetch))

    def summary(self) -> dict[str, Any]:
        """Return the object of `--json`."""
        return {
            "preset": self.preset,
            "language": self.language,
            "first": self.first,
            "columns": {
                "read": {name: list(paths) for name, paths in self.columns.read.items()},
                "attributes": list(self.columns.attributes),
                "empty": list(self.columns.empty),
                "dropped": list(self.columns.dropped),
            },
            "products": self.products,
            "filled": {name: self.filled[name] for name in LOOKED_AT},
            "advice": list(self.advice),
        }

    def _advice(self, feed: Feed | None, losses: tuple[Loss, ...], *, fetch: bool) -> Iterator[str]:
        lost = {loss.reason: loss.count for loss in losses}
        if self.language in ("", NONE):
            yield "the language of the texts is not known: set it, for example --language de, to stem words"
        if self.urls and not fetch:
            yield f"{_have(self.urls)} pictures by URL: --fetch-images downloads them"
        if lost.get("not_found") or lost.get("outside_root"):
            count = lost.get("not_found", 0) + lost.get("outside_root", 0)
            yield (
                f"{_have(count)} missing pictures: --image-root DIR sets their folder, "
                "--on-bad-image text-only indexes products without them"
            )
        if "no_parent" in lost:
            yield f"{lost['no_parent']} variants without a product: add the rows of their products"
        for name in EXPECTED if self.products else ():
            if not self.filled[name]:
                yield self._missing(name, feed)

    def _missing(self, name: str, feed: Feed | None) -> str:
        words = {"image": "a picture"}.get(name, f"a {name}")
        others = [
            {key: value for key, value in record.items() if key in self.columns.attributes}
            for record in (feed.first if feed else ())
        ]
        column = meant(name, others)
        said = f"no product has {words}"
        return f"{said}: --map {name}={column} reads it from there" if column else said


def _have(count: int) -> str:
    return "1 product has" if count == 1 else f"{count} products have"
