"""Runs: the ranked results of a system for each query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

import numpy as np
import numpy.typing as npt

from mmsearch.errors import MmsearchError


@dataclass(frozen=True)
class Run:
    """The results of one system, `{query: {product: score}}`.

    Products are in rank order unless `order` is given: int64 [queries, ranks], whose row i has the positions
    of query i's products, best first. `problems` maps failed queries to the reason; they have no products,
    and every measure counts them as zero. `ranges` has the least and greatest score that the query could
    reach on each product's shard, where it is known.
    """

    name: str
    scores: Mapping[str, Mapping[str, float]]
    order: npt.NDArray[np.int64] | None = None
    problems: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)

    @classmethod
    def from_scores(cls, name: str, scores: Mapping[str, Mapping[str, float]]) -> Run:
        """Return a run ordered by score, with the tie-breaking of trec_eval (see `trec_order`)."""
        return cls(name, scores, trec_order(list(scores.values())))

    @cached_property
    def products(self) -> Mapping[str, list[str]]:
        """Product identifiers by query, best first."""
        if self.order is None:
            return {query: list(answer) for query, answer in self.scores.items()}
        return {
            query: list(map(list(answer).__getitem__, places[: len(answer)]))
            for (query, answer), places in zip(self.scores.items(), self.order.tolist(), strict=True)
        }

    def top(self, query: str, depth: int) -> list[str]:
        """Return the first `depth` products of a query, or fewer if the system returned fewer."""
        return self.products.get(query, [])[:depth]


def trec_order(answers: Sequence[Mapping[str, float]]) -> npt.NDArray[np.int64]:
    """Return positions by descending score, ties by descending identifier: int64 [answers, longest answer].

    This is the order of trec_eval, which compares scores as 32-bit floats and identifiers bytewise. All
    answers are sorted in one matrix; identifiers are compared only in answers with ties.
    """
    lengths = np.fromiter(map(len, answers), np.int64, len(answers))
    width = int(lengths.max(initial=0))
    scores = np.full((len(answers), width), -np.inf, np.float32)
    there = np.arange(width) < lengths[:, None]
    scores[there] = _flat((answer.values() for answer in answers), int(lengths.sum()))
    if np.isnan(scores).any():
        raise MmsearchError("expected numbers as scores of a run, got NaN; leave such products out")
    order = np.argsort(-scores, axis=1, kind="stable")
    # A score of minus infinity ties with the padding; a stable sort keeps the padding last.
    falling = np.take_along_axis(scores, order, axis=1)
    tied = np.flatnonzero(((falling[:, 1:] == falling[:, :-1]) & there[:, 1:]).any(axis=1))
    if len(tied):
        by_name = np.tile(np.arange(width), (len(tied), 1))
        by_name[there[tied]] = _flat(
            (_places_by_name(answers[row]) for row in tied), int(lengths[tied].sum())
        )
        by_score = np.argsort(-np.take_along_axis(scores[tied], by_name, axis=1), axis=1, kind="stable")
        order[tied] = np.take_along_axis(by_name, by_score, axis=1)
    return order


def _places_by_name(answer: Mapping[str, float]) -> list[int]:
    """Return the positions of an answer's products by descending identifier."""
    products = list(answer)
    return sorted(range(len(products)), key=products.__getitem__, reverse=True)


def _flat(values: Iterable[Iterable[float]], count: int) -> npt.NDArray[np.float64]:
    return np.fromiter(chain.from_iterable(values), np.float64, count)
