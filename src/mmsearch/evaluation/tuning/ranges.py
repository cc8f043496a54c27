"""Ranges of scores: what a query can reach on a shard, whatever its documents, as the plugin finds them.

A text query reaches the sum over its terms of boost * idf, the limit of BM25 (S. Robertson and H. Zaragoza,
The Probabilistic Relevance Framework, 2009) for a term that fills a short field; the older similarity has a
factor k1 + 1 more. k-NN scores a vector up to 1 and ingest stores what a random product scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmsearch.evaluation.aligned import Floats


class Range(NamedTuple):
    """`low` is the score of a product that has nothing to do with the query, `high` the greatest score."""

    low: float
    high: float


def share(scores: Floats, ranges: Sequence[Range]) -> Floats:
    """Return where scores lie in their ranges, from 0 to 1: float64 [hits]. An empty range counts as 1."""
    low, high = np.asarray(ranges, np.float32).astype(np.float64).T
    width = np.where(high > low, high - low, 1.0)
    return np.where(high > low, np.clip((scores - low) / width, 0.0, 1.0), 1.0)


def term(documents: int, containing: int, boost: float = 1.0, factor: float = 1.0) -> float:
    """Return the greatest BM25 score of a term: boost * factor * ln(1 + (N - n + 0.5) / (n + 0.5)).

    `documents` is N, those with the field, and `containing` is n, those with the term; 0 if there are none.
    `factor` is k1 + 1 for the older similarity.
    """
    if not containing:
        return 0.0
    return boost * factor * math.log(1 + (documents - containing + 0.5) / (containing + 0.5))


def best_of(bounds: Sequence[float], tie_breaker: float = 0.0) -> float:
    """Return the greatest score of `dis_max` and of fields that are searched as one."""
    greatest = max(bounds, default=0.0)
    return greatest + tie_breaker * (sum(bounds) - greatest)
