"""A fusion inside an entry model's own process: a hop through the server costs more than the fusion does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .sessions import CPU, quiet

Floats = NDArray[np.float32]


class FusionSession:
    """A fusion's ONNX file on one thread of the CPU."""

    def __init__(self, file: Path) -> None:
        self._session = onnxruntime.InferenceSession(str(file), quiet(), providers=[CPU])
        # A fusion that has no use for a modality has no input for it.
        self._inputs = [tensor.name for tensor in self._session.get_inputs()]

    def run(self, feeds: Mapping[str, Floats], outputs: Sequence[str]) -> dict[str, Floats]:
        """The named outputs of n rows, float32 [n, dimension] each.

        `feeds` hold every input of the file, and may hold more.

        Raises what onnxruntime raises.
        """
        answers: list[Any] = self._session.run(list(outputs), {name: feeds[name] for name in self._inputs})
        return dict(zip(outputs, answers, strict=True))
