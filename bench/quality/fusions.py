"""Fusions of a lexical and a dense leg on judged catalogs, without tuning, each against the better leg.

    .venv/bin/python bench fusions [--sets furniture software] [--again] [--short]

The legs are retrieved once, with `--again` once more, and kept below build/fusion-legs; fusing them takes
seconds. Nothing is timed. Besides the plugin's fusions, formulas are tried that weigh a leg by how much it
seems to know of a query. The queries are keywords and tags that people filed, not purchases.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from measuring.interleaved import Table
from measuring.options import Options
from measuring.real_node import both
from quality import legs as kept_legs
from quality.legs import FOUND, SETS, WINDOW, Legs

from mmsearch.evaluation.aligned import Floats
from mmsearch.evaluation.compare import bootstrap_interval, randomisation_p
from mmsearch.evaluation.measures import parse, score
from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.slices import slices
from mmsearch.evaluation.tuning.fusion import Fusion, normalized
from mmsearch.evaluation.tuning.tune import fused_run, leg_ranges

KEPT = Path(__file__).parents[2] / "build" / "fusion-legs"
MEASURE = "ndcg(esci)@10"
DEFAULT = "min_max"
"""the plugin's default, which is judged"""
CANDIDATE = "theoretical_min_max"
"""the fusion that would become the default if it were better on every set and class of queries"""
BOUNDS = Fusion(CANDIDATE)
FUSIONS = {
    CANDIDATE: BOUNDS,
    DEFAULT: Fusion(),
    "rrf": Fusion("reciprocal_rank", "rrf"),
}
BELOW = 0.02
"""how far below its better leg a set, or a class of queries, may be"""
FEWEST = 30
"""queries of a class that is judged"""
ABOVE = {("openclipart", "mixed"): 1.05, ("software", ""): 1.05}
"""what the default is to reach over the better leg, by set and class"""
Formula = Callable[[Floats, Sequence[Floats]], float]


def coverage(share: Floats, _: Sequence[Floats]) -> float:
    """The share of its bound that a leg's best hit reaches."""
    return float(share[0])


def spread(share: Floats, _: Sequence[Floats]) -> float:
    """NQC: the deviation of a leg's scores (A. Shtok et al., TOIS 2012), of hits that it lacks 0."""
    return float(np.std(np.pad(share, (0, WINDOW - len(share)))))


def gain(share: Floats, _: Sequence[Floats]) -> float:
    """WIG: the best five hits over the mean of the window (Y. Zhou and B. Croft, SIGIR 2007)."""
    return max(float(share[:5].mean() - share.sum() / WINDOW), 1e-6)


def gap(share: Floats, _: Sequence[Floats]) -> float:
    """The fall from a leg's best hit to its tenth."""
    return float(1 - (share[9] if len(share) > 9 else 0) / share[0]) + 1e-6


def size(share: Floats, _: Sequence[Floats]) -> float:
    """Less for a long list: a word that many products have says little."""
    return 1 / (1 + float(np.log10(len(share))))


FORMULAS: Mapping[str, Formula] = {
    "coverage": coverage, "spread": spread, "gain": gain, "gap": gap, "size": size
}  # fmt: skip


def weighed(found: Legs, formula: Formula) -> Run:
    """The candidate, with each leg weighed by a formula, query by query."""
    fused = {}
    for query in found.judgments.queries:
        scores: dict[str, float] = {}
        lists = [
            (run.products.get(query, []), _shares(run, query)) for run in found.runs if run.scores.get(query)
        ]
        for products, share in lists:
            weight = formula(share, [each for _, each in lists])
            for product, value in zip(products, share, strict=True):
                scores[product] = scores.get(product, 0.0) + weight * float(value)
        fused[query] = dict(sorted(scores.items(), key=lambda item: -item[1])[:WINDOW])
    return Run("weighed", fused)


def _shares(run: Run, query: str) -> Floats:
    ranges = leg_ranges(run, query)
    products = run.products[query]
    each = [ranges[product] for product in products] if ranges else None
    return normalized([run.scores[query][product] for product in products], BOUNDS, each)


def without_floor(run: Run) -> Run:
    """The same leg with ranges from 0."""
    ranges = {
        query: {product: (0.0, high) for product, (_, high) in of_query.items()}
        for query, of_query in run.ranges.items()
    }
    return replace(run, ranges=ranges)


def runs_of(found: Legs) -> dict[str, Run]:
    """Every system by name: the legs, the plugin's fusions, and the formulas."""
    runs = {run.name: run for run in found.runs}
    runs |= {name: fused_run(name, found.runs, fusion, window=WINDOW) for name, fusion in FUSIONS.items()}
    runs[f"{CANDIDATE}, from 0"] = fused_run("", [without_floor(run) for run in found.runs], BOUNDS)
    return runs | {f"{CANDIDATE}, by {name}": weighed(found, formula) for name, formula in FORMULAS.items()}


def figures(table: Table, name: str, found: Legs) -> None:
    """The legs, and every fusion over the better leg, of a set and its classes of FEWEST queries or more; the
    formulas' ratios in a note.
    """
    measure = parse(MEASURE, found.judgments)
    values = {system: score(measure, found.judgments, run) for system, run in runs_of(found).items()}
    queries = next(iter(values.values())).queries
    kinds = {kind: np.isin(queries, members) for kind, members in slices(found.judgments, "kind").items()}
    for kind, rows in {"": np.ones(len(queries), bool), **kinds}.items():
        if kind and rows.sum() < FEWEST:
            continue
        means = {system: float(each.values[rows].mean()) for system, each in values.items()}
        best = max((run.name for run in found.runs), key=lambda leg: means[leg])
        of = f"{name}{f', {kind}' if kind else ''} ({rows.sum()} queries)"
        for leg in found.runs:
            table.figure(f"{of}: {leg.name}", round(means[leg.name], 4), {}, exact=True)
        ratios = {system: mean / means[best] if means[best] else 1.0 for system, mean in means.items()}
        others = [f"{system} {ratio:.3f}" for system, ratio in ratios.items() if CANDIDATE in system]
        table.note(f"{of}, over {best}: {'; '.join(others)}.")
        for system in FUSIONS:
            ahead = values[system].values[rows] - values[best].values[rows]
            low, high = bootstrap_interval(ahead)
            of_best = f"{of}: {system} / {best} ({low:+.4f} to {high:+.4f}, p {randomisation_p(ahead):.4f})"
            least = (
                {">=": _least(name, kind, values[system].values[rows], values[best].values[rows])}
                if system == DEFAULT
                else {}
            )
            table.figure(of_best, round(ratios[system], 4), least, exact=True)


def _least(name: str, kind: str, ours: Floats, best: Floats) -> float | None:
    if not kind or (name, kind) in ABOVE:
        return ABOVE.get((name, kind), 1 - BELOW)
    # A class is judged where its interval excludes the tolerance.
    low, high = bootstrap_interval(ours - (1 - BELOW) * best)
    return 1 - BELOW if high < 0 or low > 0 else None


def main() -> int:
    parser = Options(__doc__)
    parser.short["sets"] = ["furniture"]
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--again", action="store_true", help="retrieve the legs even if they are kept")
    asked = parser.parse()
    wanted = [name for name in asked.sets if asked.again or not (KEPT / name / FOUND).is_file()]
    if wanted:
        with tempfile.TemporaryDirectory() as scratch, both() as servers:
            for name in wanted:
                print(f"{name}: ingest and searches", file=sys.stderr)
                kept_legs.retrieve(servers, name, Path(scratch) / name, KEPT / name)
    table = Table("quality-fusions", "", {})
    for name in asked.sets:
        found = kept_legs.read(KEPT / name)
        figures(table, name, found)
        table.note(f"{name}: random scores {found.meta.get('random_scores')}.")
    return 0 if table.finish() else 1
