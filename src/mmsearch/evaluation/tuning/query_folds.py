"""Cross-validation folds of queries. Queries that differ in case, word order or plural share a fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.judgments import Judgments

SEED = 20250107


def folds_of(judgments: Judgments, queries: Sequence[str], folds: int) -> npt.NDArray[np.intp]:
    """Return the fold of every query, int [queries]. Raise MmsearchError unless every fold gets a query."""
    numbers: dict[object, int] = {}
    group = [numbers.setdefault(_words(judgments, query), len(numbers)) for query in queries]
    if not 2 <= folds <= len(numbers):
        what = "queries" if len(numbers) == len(queries) else "distinct queries"
        raise MmsearchError(
            f"expected 2 to {len(numbers)} folds over {len(numbers)} {what}, got {folds}; choose fewer, or "
            "judge more"
        )
    of_group = np.random.default_rng(SEED).permutation(np.arange(len(numbers)) % folds)
    return np.asarray(of_group[group], np.intp)


def _words(judgments: Judgments, query: str) -> object:
    """Return what queries of one group have in common."""
    about = judgments.queries[query]
    words = frozenset(word.rstrip("s") or word for word in (about.text or "").casefold().split())
    return (words, about.image) if words or about.image else query
