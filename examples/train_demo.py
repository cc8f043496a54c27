"""`make train-demo`: trains the architectures and controls and prints how they compare, with intervals."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from fusion_study.auxiliary_images import auxiliary_images
from fusion_study.parallel import side_by_side
from fusion_study.study import (
    MULTIMODAL,
    TRAINED,
    UNTRAINED,
    WEIGHTS,
    Scores,
    Study,
    Trial,
    halves,
    judgments,
    run_of,
)
from sample_data.openclipart import collection

from mmsearch.config import cache_folder
from mmsearch.evaluation.compare import compare
from mmsearch.evaluation.exclusive import exclusive
from mmsearch.evaluation.judgments import Judgments
from mmsearch.evaluation.measures import Scores as Measured
from mmsearch.evaluation.measures import parse, score
from mmsearch.evaluation.runs import Run

MEASURES = ("recall(grade)@1", "recall(grade)@10", "recall(grade)@100", "ndcg(grade)@10")
BASELINE = "bibert_mlp"
RECOVERED_AT = (10, 100)
LATE = "late_fusion trained"
SHUFFLED = "shuffled "
"""before the name of what was trained with other products' pictures"""


class Table:
    """Rows of the report: each system's runs (one a seed), measured and averaged over seeds."""

    def __init__(self, judged: Judgments, baseline: str = BASELINE) -> None:
        self.judged = judged
        self.baseline = baseline
        self.runs: dict[str, list[Run]] = {}
        self.held_out: dict[str, list[float]] = {}
        self._measured: dict[tuple[str, str], Measured] = {}

    def measured(self, name: str, measure: str) -> Measured:
        """One value a query, the mean over the system's seeds."""
        key = (name, measure)
        if key not in self._measured:
            parsed = parse(measure, self.judged)
            found = [score(parsed, self.judged, run) for run in self.runs[name]]
            mean = np.mean([scores.values for scores in found], axis=0)
            self._measured[key] = Measured(parsed, found[0].queries, mean, found[0].counted)
        return self._measured[key]

    def row(self, name: str) -> dict[str, object]:
        """A system's means, and against the baseline: ratios with intervals, and exclusive matches."""
        row: dict[str, object] = {"system": name}
        row |= {measure: round(self.measured(name, measure).mean, 4) for measure in MEASURES}
        for measure in MEASURES[1:]:
            ratio, *interval = self.over(name, self.baseline, measure)
            row |= {f"{measure} ratio": ratio, f"{measure} interval": interval}
        ours, theirs = self.runs[name], self.runs[self.baseline]
        pairs = list(zip(ours, theirs * len(ours) if len(theirs) == 1 else theirs, strict=False))
        for key, first, second in (("exclusive", 0, 1), ("exclusive of text", 1, 0)):
            found = [
                exclusive(self.judged, pair[first], pair[second], 100).relevant_per_query for pair in pairs
            ]
            row[key] = round(float(np.mean(found)), 3)
        for depth in RECOVERED_AT:
            shares = [recovered(self.judged, run, text, depth) for run, text in pairs]
            row[f"recovered@{depth}"] = round(float(np.mean(shares)), 3)
        if name in self.held_out:
            row["held out"] = round(float(np.mean(self.held_out[name])), 4)
        for control in (SHUFFLED + name, LATE):
            if name.startswith(MULTIMODAL) and control in self.runs:
                row[f"over {control}"] = {measure: self.over(name, control, measure) for measure in MEASURES}
        return row

    def over(self, name: str, control: str, measure: str) -> list[float]:
        """The ratio of two systems' means, and its interval's ends."""
        against = compare(self.measured(name, measure), self.measured(control, measure))
        edges = (1 + edge / against.baseline for edge in (against.low, against.high))
        return [round(value, 3) for value in (against.ratio, *edges)]


def recovered(judged: Judgments, run: Run, text: Run, depth: int) -> float:
    """The share of the queries with nothing right in the text control's top `depth` that have some in the
    run's."""

    def misses(answers: Run) -> set[str]:
        return {
            query
            for query, right in judged.grades.items()
            if not right.keys() & set(answers.top(query, depth))
        }

    missed = misses(text)
    return len(missed - misses(run)) / len(missed) if missed else 0.0


def best_mix(name: str, study: Study, judged: Judgments, left: list[Scores], right: list[Scores]) -> Run:
    """The late fusion of two systems' scores at the weight that is best on these very queries.

    The weight is chosen on the test queries, which favours this control over what is trained.
    """
    measure = parse(MEASURES[3], judged)
    mixes = [
        run_of(name, study.pools, [(1 - w) * a + w * b for a, b in zip(left, right, strict=True)])
        for w in WEIGHTS
    ]
    return max(mixes, key=lambda run: score(measure, judged, run).mean)


def say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)  # noqa: T201 - this is a command


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="train-demo", description=__doc__)
    parser.add_argument(
        "--seeds", type=int, default=2, help="how many trainings of each architecture on each fold"
    )
    parser.add_argument(
        "--processes", type=int, help="how many trainings at once, one thread each; by default one a core"
    )
    parser.add_argument(
        "--systems",
        nargs="+",
        choices=TRAINED,
        default=TRAINED,
        help="train only these, each with its shuffled pictures too, and the text-only control",
    )
    parser.add_argument(
        "--without-auxiliary-images",
        action="store_true",
        help="leave out what emoji and furniture teach of pictures",
    )
    parser.add_argument("--out", type=Path, default=Path("build/train-demo"))
    chosen = parser.parse_args(arguments)
    started = time.monotonic()
    say("reading openclipart")
    data = collection(cache_folder())
    lessons = None if chosen.without_auxiliary_images else auxiliary_images(cache_folder())
    study = Study(data, halves(data), say, lessons)
    judged = judgments(study.pools)
    table = Table(judged)
    table.runs["bm25"] = [run_of("bm25", study.pools, study.bm25())]
    plain = {name: study.untrained(name) for name in UNTRAINED}
    for name, tables in plain.items():
        table.runs[name] = [run_of(name, study.pools, [fused for fused, _, _ in tables])]
    table.runs["late_fusion untrained"] = [
        best_mix(
            "late_fusion untrained",
            study,
            judged,
            [text for _, text, _ in plain["4tmm_cat"]],
            [image for _, _, image in plain["4tmm_cat"]],
        )
    ]
    wanted = [name for name in TRAINED if name in (BASELINE, *chosen.systems)]
    systems = {name: (name, False) for name in wanted}
    systems |= {SHUFFLED + name: (name, True) for name in MULTIMODAL if name in chosen.systems}
    study.prepare(sorted({name for name, _ in systems.values()}))
    trials = [
        Trial(name, seed, pool.side, shuffled)
        for seed in range(chosen.seeds)
        for name, shuffled in systems.values()
        for pool in study.pools
    ]
    trained = dict(zip(trials, side_by_side(study.trained, trials, chosen.processes), strict=True))
    for seed in range(chosen.seeds):
        found = {
            row: [trained[Trial(name, seed, pool.side, shuffled)] for pool in study.pools]
            for row, (name, shuffled) in systems.items()
        }
        for name, asked in found.items():
            run = run_of(name, study.pools, [each.scores[0] for each in asked])
            table.runs.setdefault(name, []).append(run)
            table.held_out.setdefault(name, []).extend(each.held_out for each in asked)
        if "clip_mlp" in found:
            text, picture = ([each.scores[0] for each in found[name]] for name in (BASELINE, "clip_mlp"))
            table.runs.setdefault(LATE, []).append(best_mix(LATE, study, judged, text, picture))
    rows = [table.row(name) for name in table.runs]
    chosen.out.mkdir(parents=True, exist_ok=True)
    report = {
        "products": len(data.products),
        "groups": len(np.unique(data.group)),
        "queries": len(judged.queries),
        "relevant per query": round(sum(map(len, judged.grades.values())) / len(judged.queries), 2),
        "seeds": chosen.seeds,
        "seconds": round(time.monotonic() - started),
        "rows": rows,
    }
    (chosen.out / "results.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    written = markdown(report, rows)
    (chosen.out / "results.md").write_text(written, encoding="utf-8")
    print(written)  # noqa: T201 - this is a command


def markdown(report: dict[str, object], rows: list[dict[str, object]]) -> str:
    """The report as a table for the README."""
    lines = [
        f"{report['products']} products in {report['groups']} groups, two folds, {report['queries']} queries "
        f"(keywords, not purchases) with {report['relevant per query']} right products each, "
        f"{report['seeds']} seed(s), {report['seconds']} s.",
        "",
        "| system | R@1 | R@10 | R@100 | nDCG@10 | nDCG@10 over text + MLP | R@100 over it | "
        "nDCG@10 over shuffled | recovered@10 | @100 | exclusive : reverse |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        means = " | ".join(f"{row[measure]:.3f}" for measure in MEASURES)
        over = [
            f"{row[f'{measure} ratio']:.2f} ({edges[0]:.2f}–{edges[1]:.2f})"
            for measure in (MEASURES[3], MEASURES[2])
            if isinstance(edges := row[f"{measure} interval"], list)
        ]
        shuffled = row.get(f"over {SHUFFLED}{row['system']}")
        over.append(
            "{:.2f} ({:.2f}–{:.2f})".format(*shuffled[MEASURES[3]]) if isinstance(shuffled, dict) else ""
        )
        again = " | ".join(f"{row[f'recovered@{depth}']:.2f}" for depth in RECOVERED_AT)
        lines.append(
            f"| {row['system']} | {means} | {' | '.join(over)} | "
            f"{again} | {row['exclusive']:.2f} : {row['exclusive of text']:.2f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
