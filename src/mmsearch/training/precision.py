"""Loss of quality by int8 text towers: a model set on the user's pairs, compared with the same set in
fp32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mmsearch.evaluation.judgments import Judgments, Query
from mmsearch.evaluation.measures import parse, score
from mmsearch.evaluation.runs import Run
from mmsearch.models.architecture import Architecture
from mmsearch.models.export.calibration import DEPTH, overlap
from mmsearch.models.export.fusion_folder import loaded
from mmsearch.training.pairs import Pair, ProductInput, features

Floats = NDArray[np.float32]
BEARABLE = 0.01
"""relative loss of nDCG@10 above which fp32 is recommended"""


@dataclass(frozen=True, slots=True)
class Compared:
    """nDCG@10 in fp32 and in int8 over `queries` queries, and the overlap of both top 10 as a share."""

    queries: int
    fp32: float
    int8: float
    overlap: float

    @property
    def loss(self) -> float:
        """Return the relative loss of nDCG@10 by int8; negative if int8 is better."""
        return 1 - self.int8 / self.fp32 if self.fp32 else 0.0

    def sentence(self) -> str:
        said = (
            f"nDCG@{DEPTH} over {self.queries} queries: fp32 {self.fp32:.4f}, int8 {self.int8:.4f} "
            f"({-100 * self.loss:+.1f} %), overlap@{DEPTH} {self.overlap:.3f}"
        )
        return f"{said}; the loss is large: use --precision fp32" if self.loss > BEARABLE else said


def compare(
    architecture: Architecture,
    weights: Path | None,
    products: Sequence[ProductInput],
    pairs: Sequence[Pair],
    say: Callable[[str], None],
) -> Compared:
    """Rank all products for each query with both sets. The count of a pair is its grade.

    Raise TrainingError when no pair has one of the products.
    """
    fusion = loaded(architecture, weights)
    tables: list[Floats] = []
    for precision in ("fp32", "int8"):
        data = features(architecture, list(products), list(pairs), say, precision=precision)
        nothing = data.no_images(len(data.query_text))
        with torch.inference_mode():
            asked = fusion.query(data.query_text, data.query_words, nothing)[0]
            tables.append((asked @ fusion.item(data.item_text, data.item_image)[0].T).numpy())
    judged = Judgments()
    for (query, item), count in zip(data.pairs.tolist(), data.counts.tolist(), strict=True):
        judged.add(Query(str(query), str(query)), str(item), grade=count)
    measure = parse(f"ndcg(grade)@{DEPTH}", judged)
    fp32, int8 = (score(measure, judged, _run(table)).mean for table in tables)
    return Compared(len(judged.queries), fp32, int8, overlap(*tables))


def _run(table: Floats) -> Run:
    tops = np.argsort(-table, axis=1, kind="stable")[:, :DEPTH]
    answers = {
        str(query): {str(place): float(table[query, place]) for place in top}
        for query, top in enumerate(tops)
    }
    return Run("", answers)
