"""What a training brought on its held-out groups, compared with the untrained model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmsearch.evaluation.compare import bootstrap_interval
from mmsearch.models.trained_files import GAIN

MEASURE = "held-out (recall@10 + nDCG@10) / 2"


@dataclass(frozen=True, slots=True)
class Gain:
    """Means of the untrained and the trained model over `queries` held-out queries, and the 95 % paired
    bootstrap interval of their difference.

    The step and the interpolation were chosen on the same queries, so the gain is slightly optimistic.
    """

    queries: int
    untrained: float
    trained: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        return self.trained - self.untrained

    @property
    def lost(self) -> bool:
        """Return whether the trained model is no better than the untrained one."""
        return self.difference <= 0

    def sentence(self) -> str:
        said = (
            f"{MEASURE} over {self.queries} queries: untrained {self.untrained:.3f}, trained "
            f"{self.trained:.3f}, gain {self.difference:+.3f} ({self.low:+.3f} to {self.high:+.3f})"
        )
        if self.lost:
            return f"{said}; training did not help: keep the untrained model, or give more pairs"
        if self.low <= 0:
            return f"{said}; the gain is not certain: compare both by `mmsearch evaluate`"
        return said


def of(untrained: NDArray[np.float64], trained: NDArray[np.float64]) -> Gain | None:
    """Return the gain from the measures of the same queries by both models, float64 [queries], or None
    without queries.
    """
    if not len(untrained):
        return None
    low, high = bootstrap_interval(trained - untrained)
    return Gain(len(untrained), float(untrained.mean()), float(trained.mean()), low, high)


def write(gain: Gain, folder: Path) -> None:
    text = json.dumps(asdict(gain), indent=2) + "\n"
    (folder / GAIN).write_text(text, encoding="utf-8")


def read(folder: Path) -> Gain | None:
    """Return the gain of the training in a folder, or None if it was not measured."""
    file = folder / GAIN
    return Gain(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None
