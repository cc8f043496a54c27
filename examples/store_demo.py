"""Train a text tower on descriptions of Debian packages, and test it on the software store.

    .venv/bin/python examples/store_demo.py FOLDER [--pairs 14572] [--seed 0] [--from-nothing]

The pairs are a few words of a package's summary and its long description: of programs, or with
--from-nothing of every package; the packages of applications are left out. The test are the keywords that 2
to 40 applications share, over all applications of the store, none of which was trained on. One thread; some
seven minutes on a quiet core with bf16 units, half an hour without.

All layers of MiniLM move, and the result is mixed half and half with MiniLM as it comes: applications are
described in other words than packages are, and a tower that moved all the way has forgotten some of them.
With --from-nothing an encoder of two layers and random weights learns from the pairs instead.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sample_data import descriptions, software

import mmsearch
from mmsearch.config import cache_folder
from mmsearch.evaluation.judgments import Judgments, Query
from mmsearch.evaluation.measures import parse, score
from mmsearch.evaluation.runs import Run
from mmsearch.models import architecture as architectures
from mmsearch.models.export.export_cache import exported
from mmsearch.training.bm25 import Bm25
from mmsearch.training.features import text_features
from mmsearch.training.pairs import read_products
from mmsearch.training.recipes.joint import joint

MEASURES = ("ndcg(grade)@10", "recall(grade)@10", "recall(grade)@100")
SAMPLES = 10_000
MINILM, TRAINED = "MiniLM", "trained"
OTHERS = (MINILM, TRAINED, "BM25")
RUN, NOTHING = "run", "from-nothing"
"""names of the trainings' folders, before their seed"""
PAIRS = {RUN: 14_572, NOTHING: 60_000}
"""most pairs of each: all programs; all packages"""
RECIPE: dict[str, object] = {
    "schedule": "cosine",
    "evaluate_every": 80,
    "interpolated": 0.5,
}
Floats = NDArray[np.float64]
Scores = NDArray[np.float32]


def say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201


def vectors(architecture: architectures.Architecture, texts: Sequence[str]) -> Scores:
    """Text vectors by the exported tower in fp32, float32 [n, dimension]."""
    tower = architecture.towers[architecture.slots["bibert_item"]]
    return text_features(exported(architecture, tower, say), texts)


def judgments(relevant: Mapping[str, Sequence[str]]) -> Judgments:
    judged = Judgments()
    for keyword, found in relevant.items():
        for product in found:
            judged.add(Query(keyword, keyword), product, grade=1.0)
    return judged


def measured(
    judged: Judgments, queries: Sequence[str], products: Sequence[str], scores: Scores
) -> dict[str, Floats]:
    """Each measure of each query, from the scores [queries, products]."""
    answers = {}
    for query, row in zip(queries, scores, strict=True):
        top = np.argsort(-row, kind="stable")[:100]
        answers[query] = {products[place]: float(row[place]) for place in top}
    run = Run("", answers)
    return {name: score(parse(name, judged), judged, run).values for name in MEASURES}


def ratio(values: Floats, base: Floats) -> tuple[float, float, float]:
    """The ratio of two means, and its 95 % paired bootstrap interval."""
    generator = np.random.default_rng(0)
    drawn = [generator.integers(0, len(base), len(base)) for _ in range(SAMPLES)]
    low, high = np.percentile([values[rows].mean() / base[rows].mean() for rows in drawn], [2.5, 97.5])
    return float(values.mean() / base.mean()), float(low), float(high)


def scaled(scores: Scores) -> Scores:
    """Scores of each query over its best hundred from 0 to 1, as `min_max` of a hybrid scales them."""
    low = -np.partition(-scores, 100, axis=1)[:, 100:101]
    high = scores.max(1, keepdims=True)
    found: Scores = np.clip((scores - low) / np.maximum(high - low, 1e-9), 0, 1)
    return found


def compared(folder: Path, training: Path) -> dict[str, Any]:
    """Figures of each system on the keywords of the store, by the products' texts as they are indexed, with
    developer and categories, and by name, summary and description alone.
    """
    catalog = software.write_catalog(folder / "store", cache_folder(), keywords=False)
    products = {product.identifier: product.text for product in read_products(catalog, say=say)}
    every = software.applications(cache_folder())
    plain = {each.identifier: _plain(each) for each in every if each.identifier in products}
    relevant = software.queries(every)
    texts = {"as indexed": products, "name, summary, description": plain}
    found: dict[str, Any] = {"keywords": len(relevant), "applications": len(products)}
    return found | {title: _table(relevant, each, training) for title, each in texts.items()}


def lines(found: Mapping[str, Any]) -> list[str]:
    """The figures as text."""
    written = [f"{found['keywords']} keywords over {found['applications']} applications"]
    for title, rows in list(found.items())[2:]:
        written.append(title)
        for name, row in rows.items():
            means = "  ".join(f"{key.replace('(grade)', '')} {row[key]:.3f}" for key in MEASURES)
            ratios = "; ".join(
                "to {} {:.3f} ({:.3f} to {:.3f})".format(other, *row[f"over {other}"])
                for other in OTHERS
                if f"over {other}" in row
            )
            written.append(f"  {name:14} {means}  nDCG {ratios}")
    return written


def _plain(each: software.Application) -> str:
    texts = (each.names[software.ENGLISH], each.summaries.get(software.ENGLISH, ""))
    return "\n".join(filter(None, [*texts, each.descriptions.get(software.ENGLISH, "")]))


def _table(
    relevant: Mapping[str, Sequence[str]], products: Mapping[str, str], training: Path
) -> dict[str, dict[str, Any]]:
    """Means of each system, and ratios of its nDCG@10 with their intervals."""
    queries, names, texts = list(relevant), list(products), list(products.values())
    judged = judgments(relevant)
    index = Bm25(texts)
    systems = {"BM25": np.stack([index.scores(query) for query in queries]).astype(np.float32)}
    for name, file in ((MINILM, "bibert"), (TRAINED, str(training / "architecture.json"))):
        architecture = architectures.load(file)
        systems[name] = vectors(architecture, queries) @ vectors(architecture, texts).T
        systems[f"BM25 + {name}"] = scaled(systems["BM25"]) + scaled(systems[name])
    found = {name: measured(judged, queries, names, scores) for name, scores in systems.items()}
    rows: dict[str, dict[str, Any]] = {}
    for name, values in found.items():
        rows[name] = {measure: round(float(each.mean()), 4) for measure, each in values.items()}
        for other in OTHERS:
            if other != name:
                part = ratio(values[MEASURES[0]], found[other][MEASURES[0]])
                rows[name][f"over {other}"] = [round(each, 3) for each in part]
    return rows


def untrained(folder: Path, pairs: Path, catalog: Path, training: Mapping[str, object]) -> Path:
    """Write a new encoder by `mmsearch models new`, unless it is there, and return its architecture with
    these values of `training`.
    """
    file = folder / "architecture.json"
    if not file.exists():
        mmsearch_command = Path(sys.executable).with_name("mmsearch")
        given = ("--catalog", catalog, "--pairs", pairs)
        subprocess.run([mmsearch_command, "models", "new", folder, *given], check=True)
    data = json.loads(file.read_text(encoding="utf-8"))
    written({**data, "training": {**data["training"], **training}}, file)
    return file


def written(data: Mapping[str, object], file: Path) -> None:
    file.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def pretrained(folder: Path, training: Mapping[str, object]) -> Path:
    """Write the architecture of MiniLM with moving layers, and return its file."""
    data = joint(architectures.load("bibert"), {"last": 6}).data
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "architecture.json"
    written({**data, "training": {**data["training"], **RECIPE, **training}}, file)
    return file


def trained(
    folder: Path, pairs: int, seed: int, from_nothing: bool, training: Mapping[str, object]
) -> mmsearch.TrainingRun:
    """Train MiniLM, or an encoder from nothing, on so many pairs, below `folder`; resumed if interrupted."""
    name = NOTHING if from_nothing else RUN
    files = descriptions.write(folder / f"{name}-pairs", cache_folder(), pairs, every=from_nothing)
    said, catalog = files / "pairs.jsonl", files / "catalog.jsonl"
    if from_nothing:
        file = untrained(folder / "new", said, catalog, training)
    else:
        file = pretrained(folder / "minilm", training)
    return mmsearch.train(
        str(file),
        pairs=said,
        catalog=catalog,
        out=folder / f"{name}-{seed}",
        seed=seed,
        progress=lambda now: say(f"step {now.step} of {now.steps}, held out {now.score:.3f}"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, help="at most so many; all programs, or 60,000 packages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from-nothing", action="store_true")
    parser.add_argument("--training", type=json.loads, default={}, help="other values of the recipe, as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder: Path = arguments.folder
    pairs = arguments.pairs or PAIRS[NOTHING if arguments.from_nothing else RUN]
    run = trained(folder, pairs, arguments.seed, arguments.from_nothing, arguments.training)
    print("\n".join([*run.messages, run.verdict, f"{run.seconds:.0f} s"]))  # noqa: T201
    print("\n".join(lines(compared(folder, run.folder))))  # noqa: T201


if __name__ == "__main__":
    main()
