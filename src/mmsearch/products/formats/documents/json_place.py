"""Find the list of products in a JSON document: `{"products": [...]}`, `{"data": {"items": [...]}}`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field

from mmsearch.products.formats.documents.json_scan import BrokenError, Scanner

Path = tuple[str, ...]
DEPTH = 6
PRODUCTS = (
    "products",
    "product",
    "@graph",
    "itemlistelement",
    "datafeedelement",
    "catalog",
    "hits",
    "results",
)
"""names of lists that are the products even beside an id, most certain first"""
LISTS = (
    *PRODUCTS,
    *(
        "items",
        "item",
        "offers",
        "entries",
        "entry",
        "edges",
        "nodes",
        "records",
        "rows",
        "docs",
        "documents",
    ),
    "data",
)
IDS = frozenset(
    (
        *("id", "_id", "sku", "objectid", "product_id", "productid", "item_id", "itemid", "handle", "uuid"),
        *("asin", "gtin", "ean", "upc", "mpn", "identifier", "article_number", "product_code", "item_number"),
    )
)
TITLES = frozenset(("title", "name", "product_name", "headline", "label"))
_WRAPPED = {"edges": "node", "itemlistelement": "item"}
"""list → the key under which each element contains its record"""


@dataclass
class _Object:
    """The keys of an object: with scalars, with lists of objects, with objects."""

    scalars: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    objects: dict[str, _Object] = field(default_factory=dict)

    def has(self, names: frozenset[str]) -> bool:
        return any(key.lower() in names for key in (*self.scalars, *self.objects))


def place(window: bytes, *, several: bool = False) -> tuple[Path, tuple[str, ...]]:
    """Return the keys that lead to the records of a document, empty if it is a record or a list of records,
    and the other lists, which are not read.

    `window` is the beginning of the document. With `several`, the document is one of many, which are records
    unless their list has a certain name.
    """
    scanner = Scanner(io.BytesIO(window))
    try:
        if scanner.sign() == "[":
            scanner.take("[")
            several = True
        found = _Object()
        _explore(scanner, found, DEPTH)
    except BrokenError:
        pass  # the window ends, or the text is broken, which its reader reports
    return _chosen(found, certain=several)


def record_key(path: Path) -> str:
    """Return the key under which each element of a list contains its record; empty if it is the record."""
    return _WRAPPED.get(path[-1].lower(), "") if path else ""


def looks_like_nothing(window: bytes) -> list[str]:
    """Return the keys of a document that contains objects by key and is neither a record nor a list."""
    found = _Object()
    try:
        _explore(Scanner(io.BytesIO(window)), found, 1)
    except BrokenError:
        return []
    return [] if found.scalars or found.lists else list(found.objects)


def _explore(scanner: Scanner, found: _Object, depth: int) -> None:
    if scanner.sign() != "{":
        return
    scanner.take("{")
    if scanner.sign() == "}":
        scanner.take("}")
        return
    while True:
        key = scanner.key()
        scanner.take(":")
        sign = scanner.sign()
        if sign == "{" and depth > 1:
            inner = found.objects[key] = _Object()
            _explore(scanner, inner, depth - 1)
        elif sign == "[":
            scanner.take("[")
            if scanner.sign() == "{" or (scanner.sign() == "]" and key.lower() in LISTS):
                found.lists.append(key)
            _leave(scanner)
        elif sign:
            (found.objects.__setitem__(key, _Object()) if sign == "{" else found.scalars.append(key))
            scanner.value(0)
        if scanner.take(",", "}") == "}":
            return


def _leave(scanner: Scanner) -> None:
    """Consume the rest of a list."""
    while scanner.sign() != "]":
        scanner.value(0)
        if scanner.sign() == ",":
            scanner.take(",")
    scanner.take("]")


def _chosen(top: _Object, *, certain: bool) -> tuple[Path, tuple[str, ...]]:
    found = list(_candidates(top, (), certain))
    if not found:
        return () if certain else _only_object(top), ()
    best = min(found, key=lambda path: (_rank(path[-1]), len(path)))
    return best, tuple(".".join(path) for path in found if path != best)


def _candidates(node: _Object, path: Path, certain: bool) -> Iterator[Path]:
    """Yield the lists of objects that may be the products. An object that is a product contains none."""
    linked = any(key == "@type" for key in node.scalars)
    a_record = node.has(IDS) or linked
    for key in node.lists:
        name = key.lower()
        if (name in PRODUCTS and not (certain and a_record)) or not (
            certain or a_record or (node.has(TITLES) and name not in LISTS)
        ):
            yield (*path, key)
    if not a_record:
        for key, inner in node.objects.items():
            yield from _candidates(inner, (*path, key), certain)


def _rank(key: str) -> int:
    name = key.lower()
    return LISTS.index(name) if name in LISTS else len(LISTS)


def _only_object(top: _Object) -> Path:
    """Return the path of the one record of a document such as `{"product": {...}}`."""
    if not top.has(IDS) and not top.has(TITLES):
        for key, inner in top.objects.items():
            if inner.has(IDS) and (key.lower() in LISTS or (len(top.objects) == 1 and not top.scalars)):
                return (key,)
    return ()
