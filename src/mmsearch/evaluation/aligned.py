"""A run aligned with judgments as arrays: one row per query, one column per rank. All measures read these
arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np
import numpy.typing as npt

from mmsearch.evaluation.relevance import Gains
from mmsearch.evaluation.runs import Run

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

UNJUDGED = -np.inf


@dataclass(frozen=True)
class Aligned:
    """Aligned arrays; `queries` are the row labels. The arrays do not depend on the depth of a measure.

    gain      float64 [queries, ranks]: gain of the product at a rank; 0 if unjudged or no product
    judged    bool [queries, ranks]: the product at the rank is judged
    returned  int64 [queries]: number of products that the system returned
    ideal     float64 [queries, judged]: positive gains of the query's judged products, descending, padded
              with zeros
    relevant  int64 [queries]: number of judged products with a positive gain
    """

    queries: Sequence[str]
    gain: Floats
    judged: npt.NDArray[np.bool_]
    returned: Integers
    ideal: Floats
    relevant: Integers


def align(run: Run, gains: Gains, queries: Sequence[str] | None = None) -> Aligned:
    """Align `run` with `gains`, for the queries of `gains` or the given ones. A query without results is a
    row of zeros.
    """
    keys = list(gains if queries is None else queries)
    nothing: dict[str, float] = {}
    answers = [run.scores.get(key, nothing) for key in keys]
    judged = [gains.get(key, nothing) for key in keys]

    returned = np.fromiter(map(len, answers), np.int64, len(keys))
    found: list[float] = []
    for products, of_query in zip(answers, judged, strict=True):
        found.extend(map(of_query.get, products, repeat(UNJUDGED)))
    at_rank = _in_order(_padded(found, returned, UNJUDGED), run, keys)

    sizes = np.fromiter(map(len, judged), np.int64, len(keys))
    ideal = _padded(chain.from_iterable(of_query.values() for of_query in judged), sizes, 0.0)
    np.maximum(ideal, 0.0, out=ideal)
    ideal.sort(axis=1)
    return Aligned(
        keys,
        gain=np.maximum(at_rank, 0.0),
        judged=at_rank > UNJUDGED,
        returned=returned,
        ideal=ideal[:, ::-1],
        relevant=np.count_nonzero(ideal, axis=1),
    )


def _in_order(found: Floats, run: Run, queries: Sequence[str]) -> Floats:
    """Return `found` (one row per query, in the order of the run's dicts) with each row in the run's own
    order.
    """
    if run.order is None or not found.size:
        return found
    row_of = {query: row for row, query in enumerate(run.scores)}
    # A query that is missing in the run has only zeros, so any row of `order` works.
    rows = np.fromiter((row_of.get(query, 0) for query in queries), np.int64, len(queries))
    return np.take_along_axis(
        found, np.minimum(run.order[rows, : found.shape[1]], found.shape[1] - 1), axis=1
    )


def _padded(values: Iterable[float], lengths: Integers, filler: float) -> Floats:
    width = int(lengths.max(initial=0))
    matrix = np.full((len(lengths), width), filler)
    matrix[np.arange(width) < lengths[:, None]] = np.fromiter(values, np.float64, int(lengths.sum()))
    return matrix
