"""An evaluation of several systems: all numbers of the report, the JSON and the gates, each computed once."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.aligned import align
from mmsearch.evaluation.compare import SAMPLES, Comparison, compare
from mmsearch.evaluation.exclusive import Exclusive, exclusive
from mmsearch.evaluation.gate import Gate, Verdict
from mmsearch.evaluation.judgments import Judgments
from mmsearch.evaluation.live import Answers
from mmsearch.evaluation.measures import Evaluation, Measure, Scores, parse
from mmsearch.evaluation.relevance import binary_view, gains
from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.slices import BUILT_IN, sliced, slices

CURVE = (1, 2, 3, 5, 10, 20, 30, 50, 75, 100)


@dataclass(frozen=True)
class Study:
    """Systems evaluated on one set of judgments. The first system is the baseline unless another is named.

    `measures[0]` is the main measure: its differences select the queries to show, and slices report it.
    `depth` is that of the exclusive matches. `answers` has images and legs of systems that were run live.
    """

    judgments: Judgments
    runs: Sequence[Run]
    measures: Sequence[Measure]
    baseline: str
    depth: int = 100
    samples: int = SAMPLES
    answers: Mapping[str, Answers] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [run.name for run in self.runs]
        if len(set(names)) < len(names):
            raise MmsearchError(
                f"expected a distinct name for each system, got {', '.join(names)}; rename one"
            )
        if self.baseline not in names:
            raise MmsearchError(
                f"expected a baseline out of {', '.join(names)}, got {self.baseline!r}; name one of them"
            )

    @property
    def systems(self) -> list[str]:
        """The systems' names in the order given."""
        return [run.name for run in self.runs]

    @property
    def challengers(self) -> list[str]:
        """All systems but the baseline."""
        return [name for name in self.systems if name != self.baseline]

    @cached_property
    def _evaluations(self) -> dict[str, Evaluation]:
        return {run.name: Evaluation(self.judgments, run) for run in self.runs}

    @cached_property
    def scores(self) -> dict[str, dict[str, Scores]]:
        """Scores by measure name and system."""
        return {measure.name: self.score(measure) for measure in self.measures}

    def score(self, measure: Measure) -> dict[str, Scores]:
        """The scores of any measure, by system."""
        return {name: evaluation.scores(measure) for name, evaluation in self._evaluations.items()}

    @cached_property
    def comparisons(self) -> dict[str, dict[str, Comparison]]:
        """Each challenger against the baseline, by measure name and system."""
        return {
            name: {
                system: compare(of_system[system], of_system[self.baseline], samples=self.samples)
                for system in self.challengers
            }
            for name, of_system in self.scores.items()
        }

    @cached_property
    def exclusives(self) -> list[tuple[Exclusive, Exclusive]]:
        """Return for each challenger its exclusive matches over the baseline, and the reverse."""
        runs = {run.name: run for run in self.runs}
        base = runs[self.baseline]
        return [
            (
                exclusive(self.judgments, runs[system], base, self.depth),
                exclusive(self.judgments, base, runs[system], self.depth),
            )
            for system in self.challengers
        ]

    @cached_property
    def slices(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the main measure by kind of slice and slice: the number of queries and each system's
        mean.
        """
        main = self.scores[self.measures[0].name]
        attributes = dict.fromkeys(
            key for query in self.judgments.queries.values() for key in query.attributes
        )
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for by in [*BUILT_IN, *attributes]:
            members = slices(self.judgments, by)
            # A single slice equals the total, and one slice per query equals the list of queries.
            if 1 < len(members) <= max(20, len(self.judgments.queries) // 20):
                found[by] = {
                    name: {
                        "queries": len(queries),
                        "means": {system: sliced(scores, queries).mean for system, scores in main.items()},
                    }
                    for name, queries in members.items()
                }
        return found

    @cached_property
    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """Return recall of relevant products as a function of k, by system; `relevance.binary_view` defines
        relevant.
        """
        of_view = gains(self.judgments, binary_view(self.judgments))
        found = {}
        for run in self.runs:
            rows = align(run, of_view, list(self.judgments.queries))
            some = rows.relevant > 0
            hits = np.cumsum(rows.gain[some] > 0, axis=1) / rows.relevant[some, None]
            last = hits.shape[1]
            found[run.name] = [
                (k, float(hits[:, min(k, last) - 1].mean()) if last and len(hits) else 0.0)
                for k in CURVE
                if k <= max(self.depth, 10)
            ]
        return found

    def shares(self, depth: int = 10) -> dict[str, dict[str, float]]:
        """Return label shares of the top `depth` by system, including unjudged and empty ranks; empty without
        labels.
        """
        if not self.judgments.labels:
            return {}
        parts = ("E", "S", "C", "I", "unjudged", "empty")
        measures = {part: parse(f"share({part})@{depth}", self.judgments) for part in parts}
        return {
            name: {part: evaluation.scores(measure).mean for part, measure in measures.items()}
            for name, evaluation in self._evaluations.items()
        }

    def check(self, gates: Sequence[Gate]) -> list[Verdict]:
        """Return the verdicts of all gates."""
        verdicts = []
        for gate in gates:
            means = {name: s.mean for name, s in self.score(parse(gate.measure, self.judgments)).items()}
            verdicts += gate.check(means, self.baseline)
        return verdicts

    def as_json(self, verdicts: Sequence[Verdict] = ()) -> dict[str, Any]:
        """All numbers as one JSON object."""
        return {
            "queries": len(self.judgments.queries),
            "baseline": self.baseline,
            "systems": {run.name: self._system(run) for run in self.runs},
            "comparisons": [
                {
                    **asdict(comparison),
                    "name": system,
                    "ratio": comparison.ratio if comparison.baseline else None,
                }
                for of_system in self.comparisons.values()
                for system, comparison in of_system.items()
            ],
            "exclusive": [
                {key: value for key, value in asdict(each).items() if key != "products"}
                for pair in self.exclusives
                for each in pair
            ],
            "label_shares": self.shares(),
            "slices": {"measure": self.measures[0].name, **self.slices},
            "recall_at_k": {name: dict(points) for name, points in self.curves.items()},
            "gates": [asdict(verdict) for verdict in verdicts],
        }

    def _system(self, run: Run) -> dict[str, Any]:
        about: dict[str, Any] = {
            "measures": {name: of_system[run.name].mean for name, of_system in self.scores.items()},
            "counted": {name: int(s[run.name].counted.sum()) for name, s in self.scores.items()},
            "problems": dict(run.problems),
        }
        answered = self.answers.get(run.name)
        if answered:
            about["warnings"] = dict(answered.warnings)
            if answered.took:
                about["took_ms"] = latency(answered)
        return about

    def write_per_query(self, path: Path) -> None:
        """A CSV with one line a query and system, one column a measure."""
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["query", "system", "problem", *(measure.name for measure in self.measures)])
            for row, query in enumerate(self.judgments.queries):
                for run in self.runs:
                    values = [f"{self.scores[m.name][run.name].values[row]:.6g}" for m in self.measures]
                    table.writerow([query, run.name, run.problems.get(query, ""), *values])


def latency(answers: Answers) -> dict[str, float]:
    """Return median and 99th percentile of the search time on the node, in milliseconds."""
    took = list(answers.took.values())
    return {"p50": float(np.percentile(took, 50)), "p99": float(np.percentile(took, 99))}
