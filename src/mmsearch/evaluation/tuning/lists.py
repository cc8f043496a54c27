"""The legs' lists of all judged queries as arrays."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.aligned import Floats
from mmsearch.evaluation.judgments import Judgments
from mmsearch.evaluation.measures import Measure
from mmsearch.evaluation.relevance import gains
from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.tuning.fusion import Fusion, combined, normalized, products_of, weighs
from mmsearch.evaluation.tuning.ranges import Range


class Lists:
    """The legs' lists of all queries as arrays, so that all queries are fused in one expression.

    `legs[query]` has `{product: raw score}` of each leg, best first.
    `scores[technique]` float64 [queries, products, legs], 0 where a leg did not find the product; gain
    float64 [queries, products]; ideal float64 [queries], the best attainable sum.
    """

    def __init__(self, judgments: Judgments, legs: Sequence[Run], measure: Measure, window: int) -> None:
        if measure.family != "ndcg" or not measure.depth:
            raise MmsearchError(
                f"expected a measure such as ndcg@10 to tune by, got {measure.name}; name one with a depth"
            )
        of_view = gains(judgments, measure.view)
        self.queries = [query for query, pairs in of_view.items() if any(gain > 0 for gain in pairs.values())]
        if not self.queries:
            raise MmsearchError(
                f"expected queries with a relevant product ({measure.view}), got none; add judgments"
            )
        self.depth = measure.depth
        lists = [
            [dict(itertools.islice(ordered(leg, query), window)) for leg in legs] for query in self.queries
        ]
        products = [products_of(query_legs) for query_legs in lists]
        self._shape = (len(self.queries), max(map(len, products)) or 1, len(legs))
        self._places = [{product: place for place, product in enumerate(names)} for names in products]
        self.legs = lists
        self._ranges = [[leg_ranges(leg, query) for leg in legs] for query in self.queries]
        self._normalized: dict[tuple[str, str], Floats] = {}
        self.gain = np.zeros(self._shape[:2])
        self._found = np.zeros(self._shape, bool)
        for row, (query_legs, places) in enumerate(zip(lists, self._places, strict=True)):
            for number, found in enumerate(query_legs):
                self._found[row, [places[product] for product in found], number] = True
        self.ideal = np.zeros(len(self.queries))
        discount = 1 / np.log2(np.arange(2, self.depth + 2))
        for row, (query, names) in enumerate(zip(self.queries, products, strict=True)):
            pairs = of_view[query]
            self.gain[row, : len(names)] = [max(pairs.get(name, 0.0), 0.0) for name in names]
            best = sorted((gain for gain in pairs.values() if gain > 0), reverse=True)[: self.depth]
            self.ideal[row] = float(np.dot(best, discount[: len(best)]))

    def values(self, fusion: Fusion) -> Floats:
        """Return nDCG of every query under one fusion, float64 [queries]; ties are in the order of `fuse`."""
        scores = self._scores(fusion)
        # Behind all others, as is the padding: nDCG counts neither.
        fused = np.where(weighs(self._found, fusion), combined(scores, fusion).astype(np.float32), -np.inf)
        top = min(self.depth, fused.shape[1])
        order = np.argsort(-fused, axis=1, kind="stable")[:, :top]
        found = np.take_along_axis(fused, order, axis=1) > -np.inf
        gain = np.where(found, np.take_along_axis(self.gain, order, axis=1), 0.0)
        return np.asarray(gain @ (1 / np.log2(np.arange(2, top + 2))) / self.ideal, np.float64)

    def _scores(self, fusion: Fusion) -> Floats:
        key = (fusion.normalization, "rrf" if fusion.combination == "rrf" else "mean")
        if key not in self._normalized:
            scores = np.zeros(self._shape)
            for row, (legs, places) in enumerate(zip(self.legs, self._places, strict=True)):
                for number, leg in enumerate(legs):
                    of_leg = self._ranges[row][number]
                    ranges = [of_leg[product] for product in leg] if of_leg else None
                    scores[row, [places[product] for product in leg], number] = normalized(
                        list(leg.values()), fusion, ranges
                    )
            self._normalized[key] = scores
        return self._normalized[key]


def ordered(leg: Run, query: str) -> Iterator[tuple[str, float]]:
    """Yield a query's products and scores, best first."""
    scores = leg.scores.get(query, {})
    return ((product, scores[product]) for product in leg.products.get(query, []))


def leg_ranges(leg: Run, query: str) -> dict[str, Range] | None:
    """Return the ranges of a leg's scores by product; None unless those of all its products are known."""
    known = leg.ranges.get(query, {})
    products = leg.scores.get(query, {})
    return (
        {product: Range(*known[product]) for product in products} if products.keys() <= known.keys() else None
    )
