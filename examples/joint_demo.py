"""Train text tower and fusion together on openclipart, and compare with the fusion over frozen towers.

    .venv/bin/python examples/joint_demo.py [--seeds 3] [--layers all] [--folder build/joint-demo]

Two folds, each trained on the other. *frozen*: `3tmm_gated` as it is. *joint*: its text tower moves too, and
is mixed with the frozen one as the held-out groups say. *two steps*: the fusion is trained once more, over
the tower that the joint training left. Ratios have paired bootstrap intervals over queries.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from pathlib import Path

import torch
from fusion_study.auxiliary_images import auxiliary_images
from fusion_study.parallel import side_by_side
from fusion_study.study import Scores, Study, Trial, halves, judgments, run_of
from sample_data.openclipart import collection
from train_demo import MEASURES, Table

from mmsearch.config import cache_folder
from mmsearch.models import architecture as architectures
from mmsearch.models.trained_files import ARCHITECTURE
from mmsearch.training import output
from mmsearch.training.recipes.joint import joint

NAME = "3tmm_gated"
SYSTEMS = ("frozen", "joint", "two steps")


def say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)  # noqa: T201 - this is a command


def tables(study: Study, trial: Trial, layers: str, folder: Path) -> tuple[Scores, Scores, Scores]:
    """Scores of the fold by each of SYSTEMS."""
    frozen = study.trained(trial).scores[0]
    moved = joint(architectures.load(NAME), "all" if layers == "all" else {"last": int(layers)})
    asked, trained = study.trained_with(moved, trial)
    say(f"{trial.label}: the tower at {trained.share:g}")
    out = folder / f"{trial.seed}-{trial.side}"
    out.mkdir(parents=True, exist_ok=True)
    served = output.served_data(moved, out)
    served["training"] = architectures.load(NAME).data["training"]
    (out / ARCHITECTURE).write_text(json.dumps(served, indent=2) + "\n", encoding="utf-8")
    output.write(trained, moved, out)
    again, _ = study.trained_with(architectures.load(out / ARCHITECTURE), trial)
    return frozen, asked.scores[0], again.scores[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--layers", default="all", help="of the text tower: a number, or all")
    parser.add_argument("--folder", type=Path, default=Path("build/joint-demo"))
    parser.add_argument("--processes", type=int, help="trainings at once, one thread each; one a core")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    data = collection(cache_folder())
    study = Study(data, halves(data), say, auxiliary_images(cache_folder()))
    study.prepare([NAME])
    table = Table(judgments(study.pools))
    trials = [Trial(NAME, seed, pool.side) for seed in range(chosen.seeds) for pool in study.pools]
    one = functools.partial(tables, study, layers=chosen.layers, folder=chosen.folder)
    found = dict(zip(trials, side_by_side(one, trials, chosen.processes), strict=True))
    for seed in range(chosen.seeds):
        for place, name in enumerate(SYSTEMS):
            scores = [found[Trial(NAME, seed, pool.side)][place] for pool in study.pools]
            table.runs.setdefault(name, []).append(run_of(name, study.pools, scores))
    for name in SYSTEMS:
        means = "  ".join(
            f"{measure.replace('(grade)', '')} {table.measured(name, measure).mean:.3f}"
            for measure in MEASURES
        )
        ratios = "; ".join(
            "{} {:.3f} ({:.3f} to {:.3f})".format(
                measure.replace("(grade)", ""), *table.over(name, "frozen", measure)
            )
            for measure in (MEASURES[3], MEASURES[2])
        )
        print(f"{name:10} {means}  to frozen: {ratios}")  # noqa: T201 - this is a command


if __name__ == "__main__":
    main()
