"""A run laid beside judgments, as arrays: one row a query, one column a rank. All measures read these
arrays."""

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
    """`queries` name the rows; nothing here depends on how deep a measure looks.

    gain      float64 [queries, ranks]: gain of the product at a rank, 0 where it is unjudged or nothing is
              there
    judged    bool [queries, ranks]: a judged product is at the rank
    returned  int64 [queries]: how many products the system returned
    ideal     float64 [queries, judged]: the positive gains of the query's judged products, falling, then
              zeros
    relevant  int64 [queries]: how many judged products have a positive gain
    """

    queries: Sequence[str]
    gain: Floats
    judged: npt.NDArray[np.bool_]
    returned: Integers
    ideal: Floats
    relevant: Integers


def align(run: Run, gains: Gains, queries: Sequence[str] | None = None) -> Aligned:
    """Lay `run` beside `gains`, for the queries of `gains` or those named; a query without answers is a row
    of zeros."""
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
    """`found`, a row a query in the order of the run's dictionaries, with each row in the run's own order."""
    if run.order is None or not found.size:
        return found
    row_of = {query: row for row, query in enumerate(run.scores)}
    # A query that the run lacks borrows any row: there is nothing in its own to put in order.
    rows = np.fromiter((row_of.get(query, 0) for query in queries), np.int64, len(queries))
    return np.take_along_axis(
        found, np.minimum(run.order[rows, : found.shape[1]], found.shape[1] - 1), axis=1
    )


def _padded(values: Iterable[float], lengths: Integers, filler: float) -> Floats:
    width = int(lengths.max(initial=0))
    matrix = np.full((len(lengths), width), filler)
    matrix[np.arange(width) < lengths[:, None]] = np.fromiter(values, np.float64, int(lengths.sum()))
    return matrix
