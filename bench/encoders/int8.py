"""What int8 text towers cost against fp32 ones: nDCG@10 and overlap@10 on openclipart's held-out keywords.

    .venv/bin/python bench int8 [--trained 4tmm_gated] [--short]

Both folds are pools, as in `make train-demo`; nothing is timed. With `--trained` an architecture is trained
on the other half too, on fp32 features, and asked by both.
"""

from __future__ import annotations

import os
import sys

import numpy as np
import torch
from fusion_study.study import Half, Scores, Study, halves, judgments, run_of
from measuring.interleaved import Table
from measuring.options import Options
from sample_data.openclipart import collection

from mmsearch.config import cache_folder
from mmsearch.evaluation.compare import compare
from mmsearch.evaluation.measures import parse, score
from mmsearch.models.architecture import load
from mmsearch.models.export.calibration import DEPTH, overlap
from mmsearch.models.fusion import registry
from mmsearch.models.fusion.base import Fusion
from mmsearch.training.loop import train
from mmsearch.training.objective import Training

MEASURE = f"ndcg(grade)@{DEPTH}"
AT_MOST = 0.01


def fusion_for(name: str, study: Study, other: Half) -> Fusion:
    """The architecture's fusion for the pool that is not `other`: trained there, or as it starts."""
    architecture = load(name)
    torch.manual_seed(0)
    fusion = registry.build(architecture)
    if any(parameter.requires_grad for parameter in fusion.parameters()):
        numbers = Training.of(architecture.data["training"])
        train(fusion, study.half(architecture, other), numbers, device=torch.device("cpu"))
    return fusion


def main() -> int:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = Options(__doc__)
    parser.add_argument("--trained", nargs="*", default=[], help="architectures to train besides")
    chosen = parser.parse()
    data = collection(cache_folder())
    study = Study(data, halves(data), lambda line: print(f"  {line}", file=sys.stderr, flush=True))
    judged = judgments(study.pools)
    measure = parse(MEASURE, judged)
    table = Table("int8", f"nDCG@{DEPTH}", {})
    for name in ("bibert", *(() if chosen.short else ("4tmm_cat",)), *chosen.trained):
        scores: dict[str, list[Scores]] = {"fp32": [], "int8": []}
        for pool, other in zip(study.pools, reversed(study.pools), strict=True):
            fusion = fusion_for(name, study, other)
            for precision, found in scores.items():
                asked = study.half(load(name), pool, precision=precision)
                found.append(study.tables(fusion, asked, pool)[0])
        fp32, int8 = (
            score(measure, judged, run_of(precision, study.pools, found))
            for precision, found in scores.items()
        )
        table.figures |= {f"{name}, fp32": [fp32.mean], f"{name}, int8": [int8.mean]}
        against = compare(int8, fp32)
        low, high = (1 + edge / against.baseline for edge in (against.low, against.high))
        table.figure(f"{name}: int8 / fp32", against.ratio, {">=": 1 - AT_MOST})
        shared = float(np.mean([overlap(*pair) for pair in zip(*scores.values(), strict=True)]))
        table.figure(f"{name}: overlap@{DEPTH}", shared, {})
        table.note(f"{name}: the interval of int8 / fp32 is {low:.3f} to {high:.3f}.")
    table.note(f"{len(judged.queries)} keywords of openclipart as queries, two folds; nothing is timed.")
    return 0 if table.finish() else 1
