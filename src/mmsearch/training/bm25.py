"""BM25 over a few thousand short texts in memory: the lexical control, and a source of hard negatives."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mmsearch.training.words import stem, terms

K1, B = 1.2, 0.75  # Lucene's


class Bm25:
    """Scores of queries against texts by the stems of words (Robertson and Zaragoza 2009, eq. 3.15)."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._count = len(texts)
        self._postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        lengths = np.zeros(self._count)
        for number, text in enumerate(texts):
            found = Counter(stem(word) for word in terms(text))
            lengths[number] = sum(found.values())
            for term, times in found.items():
                self._postings[term].append((number, times))
        self._norms = K1 * (1 - B + B * lengths / max(lengths.mean(), 1e-9))

    def scores(self, query: str) -> NDArray[np.float64]:
        """float64 [texts]; 0 where no word is shared."""
        scores = np.zeros(self._count)
        for term in {stem(word) for word in terms(query)}:
            postings = self._postings.get(term, [])
            rarity = math.log(1 + (self._count - len(postings) + 0.5) / (len(postings) + 0.5))
            for number, times in postings:
                scores[number] += rarity * times * (K1 + 1) / (times + self._norms[number])
        return scores
