"""Learn a fusion on judged queries, and compare it with the others by cross-validation.

For each fold, loss and penalty are chosen on the other folds by a cross-validation of their own, the model is
fitted there, and scored on this fold. It helps only if the 95 % interval of its paired difference from every
other fusion is above zero: from the tuned fixed weights, which are held out by the same folds, from `rrf`,
`min_max` and `theoretical_min_max` with equal weights, and from the best leg.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmsearch.evaluation.aligned import Floats
from mmsearch.evaluation.compare import Comparison, compare
from mmsearch.evaluation.measures import Scores
from mmsearch.evaluation.tuning.fusion import Fusion
from mmsearch.evaluation.tuning.learned_model import LearnedModel, features_of
from mmsearch.evaluation.tuning.lists import Lists
from mmsearch.evaluation.tuning.logistic import LOSSES, fit

PENALTIES = (3.0, 30.0)
INNER = 3  # folds of the choice of loss and penalty
FIXED = "tuned fixed weights"
EQUAL = {
    "rrf, equal weights": Fusion("reciprocal_rank", "rrf"),
    "min_max, equal weights": Fusion("min_max"),
    "theoretical_min_max, equal weights": Fusion("theoretical_min_max"),
}
Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Setting:
    """How a model is fitted."""

    loss: str
    penalty: float


@dataclass(frozen=True)
class LearnedStudy:
    """The result of learning.

    model     the model, fitted on all queries
    held_out  the mean of the measure on held-out queries
    against   the comparison with each other fusion, by its name
    folds     the setting chosen in each fold; `setting` is that of the model
    """

    model: LearnedModel
    held_out: float
    against: Mapping[str, Comparison]
    setting: Setting
    folds: Sequence[Setting]

    @property
    def helps(self) -> bool:
        """Return whether the model is better than each other fusion, with the interval above zero."""
        return all(each.low > 0 for each in self.against.values())

    @property
    def sentence(self) -> str:
        """Say whether the model is used, and why."""
        if self.helps:
            return "The learned fusion is better than each of these; the clause has it."
        name, least = min(self.against.items(), key=lambda item: item[1].low)
        return (
            f"The learned fusion is refused: its difference from {name} is {least.difference:+.4f} "
            f"[{least.low:+.4f}, {least.high:+.4f}], not clearly above zero; the clause has the tuned fixed "
            "weights."
        )


def learn(
    lists: Lists, fold_of: npt.NDArray[np.intp], fixed: Scores, legs: Mapping[str, Scores]
) -> LearnedStudy:
    """Fit a model and compare it.

    lists    the legs' lists of all queries
    fold_of  the fold of each query
    fixed    the scores of the tuned fixed weights on held-out queries
    legs     the scores of each leg alone, over the same queries
    """
    trainer = _Trainer(lists)
    everything = np.ones(len(lists.queries), bool)
    values = np.zeros(len(lists.queries))
    chosen = []
    for fold in range(int(fold_of.max()) + 1):
        others = fold_of != fold
        setting = trainer.chosen(others, fold_of)
        model = trainer.fitted(others, setting)
        for row in np.flatnonzero(~others):
            values[row] = trainer.value(int(row), model)
        chosen.append(setting)
    setting = trainer.chosen(everything, fold_of)
    held_out = Scores(fixed.measure, lists.queries, values, everything)
    best = max(legs, key=lambda name: legs[name].mean)
    rivals = {
        FIXED: fixed,
        **{
            name: Scores(fixed.measure, lists.queries, lists.values(fusion), everything)
            for name, fusion in EQUAL.items()
        },
        f"{best} alone": legs[best],
    }
    return LearnedStudy(
        trainer.fitted(everything, setting),
        held_out.mean,
        {name: compare(held_out, rival) for name, rival in rivals.items()},
        setting,
        chosen,
    )


class _Trainer:
    """The features of all queries; fits models on some and scores them on others."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists
        self._features = [features_of(legs) for legs in lists.legs]
        self._gains = [lists.gain[row, : len(each)] for row, each in enumerate(self._features)]
        self._most = max(float(lists.gain.max(initial=0.0)), 1e-9)

    def fitted(self, rows: Rows, setting: Setting) -> LearnedModel:
        """Return the model of the queries in `rows`."""
        found = [row for row in np.flatnonzero(rows) if len(self._features[row])]
        legs = len(self._lists.legs[0])
        if not found:
            return LearnedModel.of(legs, 0.0, np.zeros(4 * legs + legs * (legs - 1) // 2))
        features: list[Floats] = [self._features[row] for row in found]
        relevant = [self._gains[row] / self._most for row in found]
        return LearnedModel.of(legs, *fit(features, relevant, setting.loss, setting.penalty))

    def value(self, row: int, model: LearnedModel) -> float:
        """Return nDCG of one query."""
        fused = model.probability(self._features[row]).astype(np.float32)
        top = np.argsort(-fused, kind="stable")[: self._lists.depth]
        discount = 1 / np.log2(np.arange(2, len(top) + 2))
        return float(self._gains[row][top] @ discount / self._lists.ideal[row])

    def chosen(self, rows: Rows, fold_of: npt.NDArray[np.intp]) -> Setting:
        """Return the setting that is best by cross-validation over `rows`; whole folds stay together."""
        inner = fold_of % INNER
        parts = [part for part in range(INNER) if (rows & (inner == part)).any()]
        if len(parts) < 2:
            return Setting(LOSSES[0], PENALTIES[-1])

        def worth(setting: Setting) -> float:
            return sum(
                self.value(int(row), model)
                for part in parts
                for model in [self.fitted(rows & (inner != part), setting)]
                for row in np.flatnonzero(rows & (inner == part))
            )

        settings = [Setting(loss, penalty) for loss, penalty in itertools.product(LOSSES, PENALTIES)]
        return max(settings, key=worth)
