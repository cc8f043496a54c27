"""Synthetic purchase pairs out of a catalogue's own attributes: for tests and checks, never for a figure.

    python -m mmsearch.training.synthetic catalog.jsonl pairs.jsonl

A query is one or two attribute values of a product ("red box"), and the products that carry them all were
"bought", the earlier ones of the catalogue more often. Real purchases are nothing like this.
"""

from __future__ import annotations

import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmsearch.training.pairs import Pair

NOT_ATTRIBUTES = frozenset({"id", "title", "description", "image", "images", "group"})
MAX_PRODUCTS = 20


def synthetic_pairs(records: Sequence[Mapping[str, Any]], count: int, seed: int = 0) -> list[Pair]:
    """Up to `count` pairs over a catalogue's records, the same for the same seed."""
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


def write(catalogue: Path, pairs: Path, count: int = 10_000) -> int:
    """Writes `synthetic_pairs` of a catalogue as the lines that `mmsearch train` reads; returns how many."""
    lines = catalogue.read_text(encoding="utf-8").splitlines()
    found = synthetic_pairs([json.loads(line) for line in lines if line.strip()], count)
    with pairs.open("w", encoding="utf-8") as stream:
        for pair in found:
            line = {"query": pair.query, "product_id": pair.product, "count": pair.count}
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
    return len(found)


def _values(record: Mapping[str, Any]) -> Iterator[str]:
    for key, value in record.items():
        if key in NOT_ATTRIBUTES:
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str) and each.strip():
                yield " ".join(each.lower().split())


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
