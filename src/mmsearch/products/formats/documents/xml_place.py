"""Find the element that is a product in an XML document: `item` of RSS, `entry` of Atom, any repeated one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mmsearch.errors import CatalogError
from mmsearch.products.formats.documents.xml_events import CHUNK, XmlEvents

Path = tuple[str, ...]
PRODUCTS = (
    *(
        "item",
        "entry",
        "product",
        "offer",
        "shopitem",
        "article",
        "produkt",
        "artikel",
        "produit",
        "producto",
    ),
    *("prodotto", "good", "listing", "sku", "record", "row", "o", "node"),
)
"""local names of elements that are products, most certain first"""
NEVER = frozenset(("category", "currency", "image", "picture", "photo", "param", "option", "variant", "link"))
MAX_PATHS = 10_000
_FOREIGN = {
    "workbook": "a workbook in XML of Excel 2003; save it as xlsx or CSV",
    "urlset": "a sitemap; export the products as RSS, Atom, CSV or JSON",
    "sitemapindex": "a sitemap; export the products as RSS, Atom, CSV or JSON",
    "opml": "a list of feeds; name the feed of products",
    "svg": "a picture; name the catalog",
}
"""local names of roots that have repeated elements and no products"""


@dataclass(slots=True)
class _Counted:
    count: int = 0
    inside: int = 0
    """elements in all of them together"""
    attributes: int = 0
    """attributes of the one that has most"""


class _Survey:
    """Counts the elements of a document by their path."""

    def __init__(self) -> None:
        self.paths: dict[Path, _Counted] = {}
        self.root = ""
        self._path: Path = ()

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self.root = self.root or _local((name,))
        if self._path in self.paths:
            self.paths[self._path].inside += 1
        self._path = (*self._path, name)
        if len(self.paths) < MAX_PATHS:
            self.paths.setdefault(self._path, _Counted())
        if self._path in self.paths:
            seen = self.paths[self._path]
            seen.count += 1
            count = sum(not key.startswith("xmlns") for key in attributes)
            seen.attributes = max(seen.attributes, count)

    def text(self, characters: str) -> None:
        """Text does not matter."""

    def end(self, name: str) -> None:
        self._path = self._path[:-1]


def place(window: bytes, name: str) -> tuple[Path, tuple[str, ...]]:
    """Return the path of the elements that are the products, from the root, and of others that are repeated
    and not read. `window` is the beginning of the document. Raise CatalogError if there is none.
    """
    survey = _Survey()
    events = XmlEvents(name, survey.start, survey.text, survey.end)
    for start in range(0, len(window), CHUNK):
        events.feed(window[start : start + CHUNK])
    if survey.root in _FOREIGN:
        raise CatalogError(f"expected a feed of products in {name}, got {_FOREIGN[survey.root]}")
    filled = {
        path: seen
        for path, seen in survey.paths.items()
        # A text with one attribute is part of a product; nothing but attributes is a product.
        if seen.inside or seen.attributes > (_local(path) not in PRODUCTS)
    }
    named = [path for path in filled if _local(path) in PRODUCTS]
    if named:
        best = min(named, key=lambda path: (len(path) == 1, len(path), PRODUCTS.index(_local(path))))
    else:
        repeated = [
            path
            for path, seen in filled.items()
            if len(path) > 1 and seen.count > survey.paths[path[:-1]].count and _local(path) not in NEVER
        ]
        if not repeated:
            raise CatalogError(
                f"expected a repeated element such as item, entry or product in {name}, got <{survey.root}> "
                "without one; export the products as RSS, Atom, CSV or JSON"
            )
        best = min(repeated, key=lambda path: (len(path), -filled[path].count))
    beside = [
        "/".join(path)
        for path, seen in filled.items()
        if path != best and len(path) <= len(best) and path[: len(best)] != best and seen.count > 1
    ]
    return best, tuple(beside[:5])


def _local(path: Path) -> str:
    return path[-1].rpartition(":")[2].lower()
