"""Tune the fusion of a hybrid: technique and weights for any number of legs, with cross-validation.

The legs' lists are retrieved once and fused here by the plugin's formulas (fusion.py). For each fold of the
queries, the fusion that is best on the other folds is scored on this fold, so that the reported figure is
from held-out queries. The final clause is chosen on all queries.

The mean must not improve at the expense of one class of queries. A fusion with a class clearly below the best
leg of that class is chosen only if every fusion has one, or if only the mean is to count.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.aligned import Floats
from mmsearch.evaluation.compare import Comparison, compare
from mmsearch.evaluation.judgments import Judgments
from mmsearch.evaluation.measures import Measure, Scores, score
from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.slices import BUILT_IN, slices
from mmsearch.evaluation.tuning.fusion import Fusion, fuse, techniques
from mmsearch.evaluation.tuning.learn import LearnedStudy, learn
from mmsearch.evaluation.tuning.learned_model import LearnedModel
from mmsearch.evaluation.tuning.lists import Lists, leg_ranges, ordered
from mmsearch.evaluation.tuning.query_folds import folds_of

_GRID = 70  # weights tried for each technique before the best ones are refined
_FINEST = 20  # weights are multiples of 1/20, so that they sum to one as written
TOLERATED = 0.02  # of the best leg's mean that a class of queries may lose
FEWEST = 10  # queries in a class: the mean of fewer tells nothing


@dataclass(frozen=True)
class OfClass:
    """One class of queries: the mean of its best leg, and that of the tuned fusion on held-out queries."""

    by: str
    name: str
    queries: int
    best_leg: str
    leg: float
    held_out: float

    @property
    def below(self) -> bool:
        """Return whether the fusion is below the best leg of the class by more than the tolerance."""
        return self.held_out < (1 - TOLERATED) * self.leg


@dataclass(frozen=True)
class Tuned:
    """The result of tuning.

    fusion    the fusion of the clause, chosen on all queries
    held_out  its measure on held-out queries of each fold, against the best single leg
    legs      the mean of each leg alone; `equal` is the plugin's default fusion
    folds     the fusion chosen in each fold
    classes   the same by class of query: length, modality, and attributes in the judgments
    over_equal  `held_out` against the plugin's default fusion instead
    learned_fusion   the model and its comparisons, if it was asked for
    """

    measure: Measure
    fusion: Fusion
    held_out: Comparison
    best_leg: str
    legs: Mapping[str, float]
    equal: float
    folds: Sequence[Fusion]
    classes: Sequence[OfClass]
    over_equal: Comparison
    learned_fusion: LearnedStudy | None = None

    @property
    def recommended(self) -> Fusion:
        """Return the tuned fusion if it is clearly better than the default on held-out queries, else the
        default.
        """
        return self.fusion if self.over_equal.low > 0 else Fusion()

    @property
    def chosen(self) -> Fusion | LearnedModel:
        """Return the learned fusion if it helps, else the fixed one."""
        study = self.learned_fusion
        return study.model if study and study.helps else self.fusion

    @property
    def clause(self) -> dict[str, Any]:
        """Return the `fusion` object of the `hybrid` clause."""
        return self.chosen.clause()


def tune(
    judgments: Judgments,
    legs: Sequence[Run],
    measure: Measure,
    *,
    folds: int = 5,
    window: int = 100,
    classes: bool = True,
    learned_fusion: bool = False,
) -> Tuned:
    """Choose a fusion of `legs` by `measure`, an nDCG with a depth, and estimate its value by
    cross-validation. Without `classes` only the mean counts. With `learned_fusion` a learned fusion is
    compared with it.
    """
    if not 2 <= len(legs) <= 10:
        raise MmsearchError(f"expected 2 to 10 legs to fuse, got {len(legs)}; name each with --leg")
    lists = Lists(judgments, legs, measure, window)
    count = len(lists.queries)
    fold_of = folds_of(judgments, lists.queries, folds)

    alone = {leg.name: score(measure, judgments, leg) for leg in legs}
    kinds = list(_classes(judgments, lists.queries))
    values = _aligned(lists.queries, alone)
    search = _Search(lists, len(legs), [members for _, _, members in kinds if classes], values)
    held_out = np.zeros(count)
    chosen = []
    for fold in range(folds):
        best = search.best(fold_of != fold)
        held_out[fold_of == fold] = search.values(best)[fold_of == fold]
        chosen.append(best)

    best_leg = max(alone, key=lambda name: alone[name].mean)
    counted = np.ones(count, bool)
    tuned_scores = Scores(measure, lists.queries, held_out, counted)
    leg_scores = {name: Scores(measure, lists.queries, of_leg, counted) for name, of_leg in values.items()}
    equal_scores = Scores(measure, lists.queries, search.values(Fusion()), counted)
    return Tuned(
        measure,
        search.best(counted),
        compare(tuned_scores, leg_scores[best_leg]),
        best_leg,
        {name: scores.mean for name, scores in alone.items()},
        equal_scores.mean,
        chosen,
        [_of_class(of, held_out, values) for of in kinds],
        compare(tuned_scores, equal_scores),
        learn(lists, fold_of, tuned_scores, leg_scores) if learned_fusion else None,
    )


def _aligned(queries: Sequence[str], alone: Mapping[str, Scores]) -> dict[str, Floats]:
    """Return each leg's values of the given queries, float64 [queries]."""
    found = {}
    for leg, scores in alone.items():
        rows = {query: row for row, query in enumerate(scores.queries)}
        found[leg] = scores.values[[rows[query] for query in queries]]
    return found


def _classes(judgments: Judgments, queries: Sequence[str]) -> Iterator[tuple[str, str, npt.NDArray[np.intp]]]:
    """Return every sufficiently large class of each attribute that divides the queries: attribute, name, row
    numbers.
    """
    places = {query: place for place, query in enumerate(queries)}
    attributes = dict.fromkeys(key for query in queries for key in judgments.queries[query].attributes)
    for by in [*BUILT_IN, *attributes]:
        members = {
            name: np.array([places[query] for query in found if query in places], np.intp)
            for name, found in slices(judgments, by).items()
        }
        if sum(len(found) > 0 for found in members.values()) >= 2:
            yield from ((by, name, found) for name, found in members.items() if len(found) >= FEWEST)


def _of_class(
    of: tuple[str, str, npt.NDArray[np.intp]], held_out: Floats, alone: Mapping[str, Floats]
) -> OfClass:
    by, name, members = of
    means = {leg: float(values[members].mean()) for leg, values in alone.items()}
    best = max(means, key=lambda leg: means[leg])
    return OfClass(by, name, len(members), best, means[best], float(held_out[members].mean()))


class _Search:
    """Cache of the fusions tried, with the value of every query, shared by the folds.

    `classes` has the row numbers of each class, `alone` the values of each leg.
    """

    def __init__(
        self,
        lists: Lists,
        legs: int,
        classes: Sequence[npt.NDArray[np.intp]],
        alone: Mapping[str, Floats],
    ) -> None:
        self._lists = lists
        self._classes = classes
        self._alone = alone
        self._grid = [
            Fusion.weighed(technique, weights) for technique in techniques() for weights in simplex(legs)
        ]
        self._values: dict[Fusion, Floats] = {}

    def values(self, fusion: Fusion) -> Floats:
        if fusion not in self._values:
            self._values[fusion] = self._lists.values(fusion)
        return self._values[fusion]

    def best(self, rows: npt.NDArray[np.bool_]) -> Fusion:
        """Return the best fusion over some queries: grid search per technique, then hill climbing from each
        grid optimum.
        """
        floors = [
            (members, (1 - TOLERATED) * max(values[members].mean() for values in self._alone.values()))
            for members in (members[rows[members]] for members in self._classes)
            if len(members) >= FEWEST
        ]

        def worth(fusion: Fusion) -> tuple[float, float]:
            """Return the sort key: how far classes are below their floors (negative), then the mean."""
            values = self.values(fusion)
            lacking = sum(max(0.0, floor - float(values[members].mean())) for members, floor in floors)
            return -lacking, float(values[rows].mean())

        starts: dict[tuple[str, str], Fusion] = {}
        for fusion in self._grid:
            key = (fusion.normalization, fusion.combination)
            if key not in starts or worth(fusion) > worth(starts[key]):
                starts[key] = fusion
        promising = sorted(starts.values(), key=worth, reverse=True)[:3]
        return max((self._climbed(fusion, worth) for fusion in promising), key=worth)

    def _climbed(self, fusion: Fusion, worth: Callable[[Fusion], tuple[float, float]]) -> Fusion:
        """Hill climbing: shift weight between two legs, one step at a time, while the value improves."""
        while True:
            best = max([fusion, *_neighbours(fusion)], key=worth)
            if worth(best) <= worth(fusion):
                return fusion
            fusion = best


def simplex(legs: int) -> list[tuple[float, ...]]:
    """Return the initial weights: equal ones, and the finest grid of at most 70 weight vectors that sum to
    1.
    """
    fits = [
        step
        for step in range(1, _FINEST + 1)
        if _FINEST % step == 0 and math.comb(step + legs - 1, legs - 1) <= _GRID
    ]
    step = max(fits, default=1)
    grid = [tuple(round(part / step, 4) for part in parts) for parts in _compositions(step, legs)]
    even = [_FINEST // legs + (leg < _FINEST % legs) for leg in range(legs)]
    return [(), tuple(round(unit / _FINEST, 4) for unit in even), *grid]


def _compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Yield every composition of `total` into `parts` non-negative integers."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _compositions(total - first, parts - 1):
            yield (first, *rest)


def _neighbours(fusion: Fusion) -> Iterator[Fusion]:
    if not fusion.weights:
        return
    units = [round(weight * _FINEST) for weight in fusion.weights]
    for giver, taker in itertools.permutations(range(len(units)), 2):
        if units[giver] > 0:
            moved = list(units)
            moved[giver] -= 1
            moved[taker] += 1
            yield fusion.weighed([round(unit / _FINEST, 4) for unit in moved])


def fused_run(name: str, legs: Sequence[Run], fusion: Fusion, *, window: int = 100) -> Run:
    """Return the run of a fusion over the legs' lists."""

    def cut(scores: Iterable[tuple[str, float]]) -> dict[str, float]:
        return dict(itertools.islice(scores, window))

    queries = dict.fromkeys(query for leg in legs for query in leg.scores)

    def fused(query: str) -> dict[str, float]:
        ranges = [leg_ranges(leg, query) for leg in legs]
        return cut(fuse([cut(ordered(leg, query)) for leg in legs], fusion, ranges).items())

    return Run(name, {query: fused(query) for query in queries})
