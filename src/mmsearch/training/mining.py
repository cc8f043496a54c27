"""Hard negatives: top search results for a query that are not among its relevant products."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from mmsearch.training.bm25 import Bm25
from mmsearch.training.pairs import Pair, ProductInput

Search = Callable[[str, int], list[str]]


def bm25_search(products: Sequence[ProductInput]) -> Search:
    """Search the products' texts by BM25. Products without a shared word are not returned."""
    index = Bm25([product.text for product in products])

    def search(query: str, size: int) -> list[str]:
        scores = index.scores(query)
        order = np.argsort(-scores, kind="stable")[:size]
        return [products[place].identifier for place in order if scores[place] > 0]

    return search


def mined(pairs: Sequence[Pair], searches: Sequence[Search], per_query: int) -> list[Pair]:
    """Return the pairs with up to `per_query` hard negatives each: the top results of every search in turn,
    without the products that are relevant for the query.
    """
    right: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        right[pair.query].add(pair.product)
    found: dict[str, tuple[str, ...]] = {}
    for query, chosen in right.items():
        depth = per_query + len(chosen)
        answers = [[name for name in search(query, depth) if name not in chosen] for search in searches]
        found[query] = tuple(_in_turn(answers, per_query))
    return [Pair(pair.query, pair.product, pair.count, found[pair.query]) for pair in pairs]


def _in_turn(answers: list[list[str]], count: int) -> list[str]:
    taken: list[str] = []
    for rank in range(max(map(len, answers), default=0)):
        for answer in answers:
            if rank < len(answer) and answer[rank] not in taken and len(taken) < count:
                taken.append(answer[rank])
    return taken
