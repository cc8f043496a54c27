"""The targets of quality, on what the demos of training and evaluation found: `make quality`.

    .venv/bin/python bench quality [--short]

`make train-demo`, `make towers-demo` and `make evaluate-demo` leave their figures under build/; nothing is
timed. The queries are keywords of Debian's openclipart and of a software store, not purchases. The trained
fusion is the one that did best on what the trainings held out, so that it is not chosen on the queries that
it is measured by; the better of the text-only controls stands against it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from measuring.interleaved import Table
from measuring.options import Options
from measuring.pytested import pytested

BUILD = Path(__file__).parents[2] / "build"
TRAINED = BUILD / "train-demo" / "results.json"
TOWERS = BUILD / "towers-demo"
FUSIONS = ("3tmm_mlp", "3tmm_gated", "4tmm_mlp", "4tmm_gated")
UNTRAINED = "4tmm_cat"
TEXT_ONLY = ("bibert", "bibert_mlp")
LATE = "late_fusion trained"
SHUFFLED = "shuffled "
RECALL_10, RECALL_100, NDCG_10 = "recall(grade)@10", "recall(grade)@100", "ndcg(grade)@10"
FROZEN, TEXT_JOINT = "3tmm_gated", "bibert joint"
DESCRIPTIONS = "MiniLM trained on descriptions"
"""the text tower with which the store's systems begin"""
PLAIN = "name, summary, description"
BELOW = 0.02
"""how far below its best leg a class of queries may be"""


def fusion(results: dict[str, Any]) -> Table:
    """What training and pictures bring, from `make train-demo`."""
    table = Table("quality-fusion", "", {})
    rows = {row["system"]: row for row in results["rows"]}
    chosen = max(FUSIONS, key=lambda name: float(rows[name]["held out"]))
    ours = rows[chosen]

    def over(measure: str, other: str) -> float:
        return float(ours[measure]) / float(rows[other][measure])

    def of(what: str, value: float, **least: float) -> None:
        bound: dict[str, float | None] = {">=": least["at_least"]} if least else {}
        table.figure(what, value, bound, exact=True)

    of("over 4tmm_cat untrained: R@10", over(RECALL_10, UNTRAINED), at_least=1.25)
    of("over 4tmm_cat untrained: nDCG@10", over(NDCG_10, UNTRAINED), at_least=1.40)
    for measure, short in ((NDCG_10, "nDCG@10"), (RECALL_100, "R@100")):
        control = max(TEXT_ONLY, key=lambda name: float(rows[name][measure]))
        of(f"over {control}: {short}", over(measure, control), at_least=1.04)
        # The interval is the one against bibert_mlp; the other control is far below it.
        of(f"over bibert_mlp: {short}, lower bound", ours[f"{measure} interval"][0], at_least=1.0)
    of("over bibert_mlp: R@10", over(RECALL_10, "bibert_mlp"))
    of("recovered share of the queries that text misses: at 10", ours["recovered@10"], at_least=0.30)
    of("recovered share of the queries that text misses: at 100", ours["recovered@100"])
    of(
        "relevant products that only fusion finds, over those that only text finds",
        ours["exclusive"] / ours["exclusive of text"],
        at_least=2,
    )
    for control, what, least in (
        (LATE, "late fusion of trained towers", {"at_least": 1.0}),
        (SHUFFLED + chosen, "itself with shuffled pictures", {"at_least": 1.10}),
    ):
        for measure, short in ((NDCG_10, "nDCG@10"), (RECALL_10, "R@10"), (RECALL_100, "R@100")):
            ratio, low, high = ours[f"over {control}"][measure]
            # The first is what the target is of, the others stand beside it.
            of(
                f"over {what}: {short} ({low:.2f} to {high:.2f})",
                ratio,
                **(least if measure == NDCG_10 else {}),
            )
    table.note(
        f"{results['products']} products, two folds, {results['queries']} queries, "
        f"{results['seeds']} seed(s); "
        f"{chosen} is best on the queries that training held out."
    )
    return table


def texts(results: dict[str, Any]) -> Table:
    """What text towers learn from descriptions, on keywords of applications that they have not read."""
    table = Table("quality-texts", "", {})
    for kind, what, least, bound in (
        ("run", "MiniLM, trained", 1.12, 1.05),
        ("from-nothing", "BiBERT from nothing", 0.6, None),
    ):
        if kind not in results:
            table.note(f"{what} was not trained.")
            continue
        for title in (PLAIN, "as indexed"):
            rows = results[kind][title]
            ratio, low, high = rows["trained"]["over MiniLM"]
            judged = title == PLAIN
            of = f"{what}, {title}: nDCG@10 over MiniLM"
            table.figure(
                f"{of} ({low:.2f} to {high:.2f})", ratio, {">=": least} if judged else {}, exact=True
            )
            if bound and judged:
                table.figure(f"{of}, lower bound", low, {">=": bound}, exact=True)
    rows = results["run"][PLAIN]
    better = max((rows["trained"], rows["BM25"]), key=lambda row: float(row[NDCG_10]))
    over = rows["BM25 + trained"][NDCG_10] / better[NDCG_10]
    table.figure("BM25 + trained: nDCG@10 over the better of the two", over, {">=": 1.05}, exact=True)
    table.note(f"{results['run']['keywords']} keywords over {results['run']['applications']} applications.")
    return table


def towers(results: dict[str, Any], store: bool) -> Table:
    """What it brings that the text tower moves with the fusion, against frozen towers."""
    table = Table(f"quality-towers-{'store' if store else 'openclipart'}", "", {})
    rows = {row["system"]: row for row in results["rows"]}
    joint = [name for name in rows if " joint" in name and not name.startswith((SHUFFLED, TEXT_ONLY[0]))]
    if not joint:
        raise SystemExit(
            "mmsearch: expected a fusion with a moving text tower among the systems of make towers-demo, got "
            "none; run it without --systems"
        )
    best = max(joint, key=lambda name: float(rows[name]["held out"]))

    def of(other: str, measure: str, short: str, least: float | None = None) -> None:
        ratio, low, high = rows[best][f"over {other}"][measure]
        bound: dict[str, float | None] = {} if least is None else {">=": least}
        table.figure(f"over {other}: {short} ({low:.2f} to {high:.2f})", ratio, bound, exact=True)

    if store:
        of(DESCRIPTIONS, NDCG_10, "nDCG@10", 1.02)
    of(FROZEN, NDCG_10, "nDCG@10", None if store else 0.98)
    of(FROZEN, RECALL_100, "R@100", None if store else 1.02)
    for control in (TEXT_JOINT, SHUFFLED + best):
        if f"over {control}" in rows[best]:  # a control may be left out
            of(control, NDCG_10, "nDCG@10")
    table.note(
        f"{results['products']} products, two folds, {results['queries']} queries, "
        f"{results['seeds']} seed(s); {best} is best on the queries that training held out."
    )
    return table


def hybrid(folder: Path) -> Table:
    """What a tuned hybrid brings over its better leg on held-out queries, from `make evaluate-demo`."""
    table = Table("quality-hybrid", "", {})
    for file, encoders in (("tune-untrained", "untrained"), ("tune", "trained")):
        tuned = json.loads((folder / f"{file}.json").read_text(encoding="utf-8"))
        what = f"{encoders} encoders: "
        table.figure(f"{what}nDCG@10, over the better leg", tuned["ratio"], {">=": 1.05}, exact=True)
        table.figure(f"{what}p-value of the difference", tuned["p"], {"<=": 0.01}, exact=True)
        lowest = min(
            (each["held_out"] / each["leg"] for each in tuned["classes"] if each["leg"]), default=1.0
        )
        table.figure(
            f"{what}worst class of queries, over its best leg", lowest, {">=": 1 - BELOW}, exact=True
        )
        table.note(f"{encoders.capitalize()}: {tuned['queries']} queries, {', '.join(tuned['legs'])}.")
    return table


def served() -> Table:
    """Whether served vectors are the trained ones, by the test that deploys a 4tMM and a 3tMM."""
    return pytested(
        "quality-served",
        "tests/integration/test_models_deploy.py",
        "two_trained_versions",
        r"served in fp32 .*",
        10,
    )


def main() -> int:
    good = Options(__doc__).parse().short or served().finish()
    folders = sorted(
        BUILD.glob("evaluate*/openclipart/tune-untrained.json"), key=lambda file: file.stat().st_mtime
    )
    if TRAINED.is_file():
        good &= fusion(json.loads(TRAINED.read_text(encoding="utf-8"))).finish()
    found = {name: TOWERS / f"{name}.json" for name in ("text", "openclipart", "store")}
    for name, file in found.items():
        if file.is_file():
            results = json.loads(file.read_text(encoding="utf-8"))
            good &= (texts(results) if name == "text" else towers(results, name == "store")).finish()
    if folders:
        good &= hybrid(folders[-1].parent).finish()
    left = {
        "train-demo": TRAINED.is_file(),
        "towers-demo": all(file.is_file() for file in found.values()),
        "evaluate-demo": folders,
    }
    lacking = [name for name, there in left.items() if not there]
    if lacking:
        print(
            f"mmsearch: expected figures under build/, got none of make {' and make '.join(lacking)}",
            file=sys.stderr,
        )
    return 0 if good and not lacking else 1
