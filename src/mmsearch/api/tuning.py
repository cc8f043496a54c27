"""Find the fusion of a hybrid by cross-validation on judged queries."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mmsearch.api.arguments import path_of, require_number
from mmsearch.api.failures import explained
from mmsearch.api.judged import Asked, Judged, Systems, judgments_of
from mmsearch.evaluation.gather import require_overlap
from mmsearch.evaluation.measures import parse
from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.tuning.clause import hybrid
from mmsearch.evaluation.tuning.learn import LearnedStudy
from mmsearch.evaluation.tuning.tune import Tuned
from mmsearch.evaluation.tuning.tune import tune as tuned
from mmsearch.search.clauses import ALONE

if TYPE_CHECKING:
    import pandas as pd

    from mmsearch.api.client import Client

WINDOW = 100


@dataclass(frozen=True)
class TuningReport:
    """The result of a tuning.

    tuned   the fusion, its measure on held-out queries compared with the best leg, overall and by class
    clause  the `hybrid` clause with placeholders, for the `query` of a search body; None if a leg is a run
    """

    tuned: Tuned
    clause: dict[str, Any] | None

    @property
    def fusion(self) -> dict[str, Any]:
        """Return the `fusion` object of the clause."""
        return self.tuned.clause

    @property
    def held_out(self) -> float:
        """Return the mean of the measure on held-out queries."""
        return self.tuned.held_out.system

    @property
    def legs(self) -> dict[str, float]:
        """Return the mean of the measure for each leg alone."""
        return dict(self.tuned.legs)

    def frame(self) -> pd.DataFrame:
        """Return a DataFrame with one row per query class: by, name, queries, best_leg, leg, held_out,
        below.

        Raises MissingPackageError without pandas.
        """
        with explained("TuningReport.frame"):
            import pandas
        columns = ["by", "name", "queries", "best_leg", "leg", "held_out", "below"]
        rows = [asdict(each) | {"below": each.below} for each in self.tuned.classes]
        return pandas.DataFrame(rows, columns=columns)

    def summary(self) -> dict[str, Any]:
        """Return the object of `mmsearch tune --json`."""
        held = self.tuned.held_out
        return {
            "measure": self.tuned.measure.name,
            "queries": held.queries,
            "legs": self.legs,
            "equal": self.tuned.equal,
            "held_out": held.system,
            "best_leg": self.tuned.best_leg,
            "ratio": held.ratio if held.baseline else None,
            "difference": held.difference,
            "low": held.low,
            "high": held.high,
            "p": held.p,
            "over_default": asdict(self.tuned.over_equal),
            "recommended": self.tuned.recommended.clause(),
            "fusion": self.fusion,
            "classes": [asdict(each) | {"below": each.below} for each in self.tuned.classes],
            "folds": [fusion.clause() for fusion in self.tuned.folds],
            "clause": self.pasted,
            **(
                {"learned_fusion": _learned_summary(self.tuned.learned_fusion)}
                if self.tuned.learned_fusion
                else {}
            ),
        }

    @property
    def pasted(self) -> dict[str, Any]:
        """Return the clause, or the fusion alone if there is no clause."""
        return self.clause or {"fusion": self.fusion}


def _learned_summary(study: LearnedStudy) -> dict[str, Any]:
    against = {
        name: asdict(each) | {"ratio": each.ratio if each.baseline else None}
        for name, each in study.against.items()
    }
    return {
        "held_out": study.held_out,
        "helps": study.helps,
        "sentence": study.sentence,
        "against": against,
        "setting": asdict(study.setting),
        "folds": [asdict(each) for each in study.folds],
        "fusion": study.model.clause(),
    }


def tune(
    judgments: Judged,
    legs: Systems = ("lexical", "neural"),
    *,
    client: Client | None = None,
    measure: str = "ndcg@10",
    folds: int = 5,
    window: int = WINDOW,
    classes: bool = True,
    learn: bool = False,
    image_root: str | os.PathLike[str] | None = None,
    esci: bool = False,
    only: Mapping[str, str] | None = None,
) -> TuningReport:
    """Find the best technique and weights to fuse two to ten legs.

    judgments, client, image_root, esci, only  as for `mmsearch.evaluate`
    legs     the systems to fuse, as for `mmsearch.evaluate`
    measure  an nDCG measure with a depth
    folds    cross-validation folds; for each fold, the fusion is chosen on the others
    window   hits per leg, 1 to 10,000
    classes  avoid that any class of queries falls below its best leg, if possible
    learn    also learn a model over what the legs know of each product, and use it if it is clearly better

    Each leg is searched once, and hits are fused locally with the plugin's formulas. Raises MmsearchError as
    `evaluate` does, and if there are too few legs or queries.
    """
    require_number("folds", folds, 2)
    require_number("window", window, 1, 10_000)
    with explained("tune"):
        judged, folder = judgments_of(judgments, esci=esci, only=only)
        asked = Asked(legs, client, window)
        runs = asked.legs(judged, folder if image_root is None else path_of("image_root", image_root))
        require_overlap(judged, runs, asked.indexed)
        found = tuned(
            judged,
            runs,
            parse(measure, judged),
            folds=folds,
            window=window,
            classes=classes,
            learned_fusion=learn,
        )
        finished = any(isinstance(each, Run) for each in asked.systems)
        clause = hybrid(asked.systems, found.chosen, window, ALONE if finished else asked.names())
        return TuningReport(found, clause)
