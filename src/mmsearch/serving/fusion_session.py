"""A fusion run in the process of an entry model: a call through the server takes longer than the fusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .sessions import open_on_cpu

Floats = NDArray[np.float32]


class FusionSession:
    """A fusion's ONNX file, run with one CPU thread."""

    def __init__(self, file: Path) -> None:
        self._session = open_on_cpu(file)
        # A fusion that ignores a modality has no input for it.
        self._inputs = [tensor.name for tensor in self._session.get_inputs()]

    def run(self, feeds: Mapping[str, Floats], outputs: Sequence[str]) -> dict[str, Floats]:
        """Return the named outputs of n rows, float32 [n, dimension] each.

        `feeds` must have every input of the file and may have more. Raises the errors of onnxruntime.
        """
        answers: list[Any] = self._session.run(list(outputs), {name: feeds[name] for name in self._inputs})
        return dict(zip(outputs, answers, strict=True))
