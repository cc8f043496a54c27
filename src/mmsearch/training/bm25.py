"""BM25 over a few thousand short texts in memory: the lexical baseline, and a source of hard negatives."""

from __future__ import annotations

from collections.abc import Sequence

import bm25s
import numpy as np
from numpy.typing import NDArray

from mmsearch.training.words import stem, terms

K1, B = 1.2, 0.75  # Lucene's


class Bm25:
    """BM25 scores of stemmed queries against stemmed texts (Robertson and Zaragoza 2009, eq. 3.15)."""

    def __init__(self, texts: Sequence[str]) -> None:
        found = [_stems(text) for text in texts]
        self._count = len(found)
        self._index = bm25s.BM25(method="lucene", k1=K1, b=B, dtype="float64") if any(found) else None
        if self._index:
            self._index.index(found, show_progress=False)

    def scores(self, query: str) -> NDArray[np.float64]:
        """Return scores, float64 [texts]; 0 for texts without a shared word."""
        found = list(dict.fromkeys(_stems(query)))
        if not found or not self._index:
            return np.zeros(self._count)
        # Lucene omits the constant factor (k1 + 1) of equation 3.15, which does not affect the ranking.
        scores: NDArray[np.float64] = (K1 + 1) * self._index.get_scores(found)
        return scores


def _stems(text: str) -> list[str]:
    return [stem(word) for word in terms(text)]
