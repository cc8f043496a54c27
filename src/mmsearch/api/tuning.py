"""The fusion of a hybrid, found on judged queries and judged on queries held out."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mmsearch.api.arguments import path_of, require_number
from mmsearch.api.failures import explained
from mmsearch.api.judged import Asked, Judged, Systems, judgments_of
from mmsearch.evaluation.measures import parse
from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.tuning.clause import hybrid
from mmsearch.evaluation.tuning.tune import Tuned
from mmsearch.evaluation.tuning.tune import tune as tuned
from mmsearch.search.clauses import ALONE

if TYPE_CHECKING:
    import pandas as pd

    from mmsearch.api.client import Client

WINDOW = 100


@dataclass(frozen=True)
class TuningReport:
    """What was found.

    tuned   the fusion, its measure on held-out queries against the best leg, and the same by class of query
    clause  the `hybrid` clause over the legs' queries with their placeholders, to put into a search body's
            `query`; None when a leg is a finished run
    """

    tuned: Tuned
    clause: dict[str, Any] | None

    @property
    def fusion(self) -> dict[str, Any]:
        """The `fusion` object of the clause."""
        return self.tuned.fusion.clause()

    @property
    def held_out(self) -> float:
        """The measure's mean on queries that the choice had not seen."""
        return self.tuned.held_out.system

    @property
    def legs(self) -> dict[str, float]:
        """The measure's mean of each leg alone."""
        return dict(self.tuned.legs)

    def frame(self) -> pd.DataFrame:
        """One row a class of queries: by, name, queries, best_leg, leg, held_out, below.

        Raises MissingPackageError without pandas.
        """
        with explained("TuningReport.frame"):
            import pandas
        columns = ["by", "name", "queries", "best_leg", "leg", "held_out", "below"]
        rows = [asdict(each) | {"below": each.below} for each in self.tuned.classes]
        return pandas.DataFrame(rows, columns=columns)

    def summary(self) -> dict[str, Any]:
        """The object of `mmsearch tune --json`."""
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
            "fusion": self.fusion,
            "classes": [asdict(each) | {"below": each.below} for each in self.tuned.classes],
            "folds": [fusion.clause() for fusion in self.tuned.folds],
            "clause": self.pasted,
        }

    @property
    def pasted(self) -> dict[str, Any]:
        """The clause, or where there is none the fusion alone."""
        return self.clause or {"fusion": self.fusion}


def tune(
    judgments: Judged,
    legs: Systems = ("lexical", "neural"),
    *,
    client: Client | None = None,
    measure: str = "ndcg@10",
    folds: int = 5,
    window: int = WINDOW,
    classes: bool = True,
    image_root: str | os.PathLike[str] | None = None,
    esci: bool = False,
) -> TuningReport:
    """Find technique and weights that fuse two to ten legs best.

    judgments, client, image_root, esci  as of `mmsearch.evaluate`
    legs     the systems to fuse, as of `mmsearch.evaluate`
    measure  an nDCG with a depth
    folds    parts of the cross-validation: for each, the fusion is chosen on the others
    window   hits that each leg is asked for, 1 to 10,000
    classes  choose so that no class of queries falls below its best leg, where that can be had

    Each leg is asked once, and fused here by the plugin's own formulas. Raises MmsearchError as `evaluate`,
    and where there are too few legs or queries.
    """
    require_number("folds", folds, 2)
    require_number("window", window, 1, 10_000)
    with explained("tune"):
        judged, folder = judgments_of(judgments, esci=esci)
        asked = Asked(legs, client, window)
        runs, _ = asked.runs(judged, folder if image_root is None else path_of("image_root", image_root))
        found = tuned(judged, runs, parse(measure, judged), folds=folds, window=window, classes=classes)
        finished = any(isinstance(each, Run) for each in asked.systems)
        clause = hybrid(asked.systems, found.fusion, window, ALONE if finished else asked.names())
        return TuningReport(found, clause)
