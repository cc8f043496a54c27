"""Synthetic purchase pairs from a catalog's attributes, for tests and checks only; not for quality figures.

    mmsearch synthetic-pairs catalog.jsonl --out pairs.jsonl

A query consists of one or two attribute values of a product ("red box"). The products with all these values
count as bought, those earlier in the catalog more often. Real purchases have another distribution.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from mmsearch.errors import RecordError, TrainingError
from mmsearch.products.catalog import Catalog
from mmsearch.products.feeds.feed import Feed
from mmsearch.products.reader import read_products
from mmsearch.training.pairs import Pair

NOT_ATTRIBUTES = frozenset({"id", "title", "description", "image", "images", "group"})
MAX_PRODUCTS = 20


def synthetic_pairs(records: Sequence[Mapping[str, Any]], count: int, seed: int = 0) -> list[Pair]:
    """Return up to `count` pairs over a catalog's records, deterministic by the seed."""
    bearers: dict[str, list[str]] = defaultdict(list)
    for record in records:
        values = sorted(_values(record))
        pairs = [f"{first} {second}" for first in values for second in values if first != second]
        for query in (*values, *pairs):
            bearers[query].append(str(record["id"]))
    queries = sorted(query for query, products in bearers.items() if len(products) <= MAX_PRODUCTS)
    random.Random(seed).shuffle(queries)  # noqa: S311 - not for secrets
    found = [
        Pair(query, product, float(max(1, 5 - rank)))
        for query in queries
        for rank, product in enumerate(bearers[query])
    ]
    return found[:count]


def write(
    catalog: Path,
    pairs: Path,
    count: int = 10_000,
    *,
    say: Callable[[str], None] = lambda line: None,
    renames: Mapping[str, str] | None = None,
    preset: str | None = None,
    form: str | None = None,
) -> int:
    """Write `synthetic_pairs` of a catalog as input lines of `mmsearch train`. Return their number.

    The catalog is read as by `mmsearch ingest`; `say` is called with the number of skipped lines. Raise
    TrainingError when there is no pair or the file cannot be written, CatalogError when the catalog cannot be
    read.
    """
    records: list[Mapping[str, Any]] = []
    left_out = 0
    with closing(Feed(Catalog(str(catalog), form), renames, preset, say)) as lines:
        for _, product in read_products(lines, renames):
            if isinstance(product, RecordError):
                left_out += 1
                continue
            shelves = {"category": list(product.category), "brand": list(product.brand)}
            records.append({"id": product.id, **shelves, **product.attributes})
    if left_out:
        say(f"{left_out} lines of {catalog} are left out, since they are no products")
    found = synthetic_pairs(records, count)
    if not found:
        raise TrainingError(
            f"expected products with a category, a brand or attributes in {catalog}, got none; name a "
            "catalog that has some"
        )
    try:
        with pairs.open("w", encoding="utf-8") as stream:
            for pair in found:
                line = {"query": pair.query, "product_id": pair.product, "count": pair.count}
                stream.write(json.dumps(line, ensure_ascii=False) + "\n")
    except OSError as error:
        raise TrainingError(
            f"expected to write pairs to {pairs}, got: {error.strerror}; name a file in a folder that is "
            "there and ours"
        ) from None
    return len(found)


def _values(record: Mapping[str, Any]) -> Iterator[str]:
    for key, value in record.items():
        if key in NOT_ATTRIBUTES:
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str) and each.strip():
                yield " ".join(each.lower().split())
