"""The towers of an entry model: small ones run in its own process, others are called as separate models.

Calling another model adds about a millisecond to a query, more than a small tower needs for one text. Towers
that run on a GPU or use the response cache are called, so that entry models share the tower and its memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from . import runtime
from .microbatch import Microbatches
from .opening import opened
from .sessions import on_cpu_alone

Floats = NDArray[np.float32]
FEATURES = "FEATURES"


class TowerError(RuntimeError):
    """A tower of this model, or its fusion, returned an error."""


class TowerCalls:
    """Runs the towers described by `serving.json`, each by the name of its model.

    `folder` is the entry model's version folder with the files of small towers; `in_process` allows running
    them in this process. If onnxruntime has a GPU, they are always called.
    """

    def __init__(self, folder: Path, described: list[dict[str, Any]], in_process: bool) -> None:
        on_cpu = on_cpu_alone()
        choices = runtime.read(folder)
        self._described = {tower["model"]: tower for tower in described}
        self._here = {
            tower["model"]: _opened(folder / tower["in_process"]["file"], choices[tower["model"]])
            for tower in described
            if in_process and on_cpu and tower.get("in_process")
        }

    def run(self, model: str, feeds: Mapping[str, NDArray[Any]], remember: bool) -> Floats:
        """Return the features of n rows, float32 [n, dimension]. Raise TowerError when the tower returns an
        error.
        """
        here = self._here.get(model)
        if here is None or remember:
            return _called(self._described[model], feeds, remember)
        try:
            return here.run([FEATURES], feeds)[0]
        except Exception as error:
            # The message of the runtime may contain file paths, so only the exception type is returned.
            pb_utils.Logger.log_error(f"{model} failed in this process: {error}")
            raise TowerError(
                f"expected {model} to run on its inputs, got {type(error).__name__} from its runtime; "
                "see the server's log, or build the model set again"
            ) from error


def _opened(file: Path, choice: runtime.Choice) -> Microbatches:
    return Microbatches(opened(file, choice, pb_utils.Logger.log_warn), choice)


def _called(tower: Mapping[str, Any], feeds: Mapping[str, NDArray[Any]], remember: bool) -> Floats:
    """Call one pinned version of a tower's own model; `remember` allows cached rows."""
    answer = pb_utils.InferenceRequest(
        model_name=tower["model"],
        model_version=tower["version"],
        requested_output_names=[FEATURES],
        inputs=[pb_utils.Tensor(name, array) for name, array in feeds.items()],
        parameters={"remember": True} if remember else {},
    ).exec()
    if answer.has_error():
        raise TowerError(
            f"expected {tower['model']} version {tower['version']} to answer, "
            f"got: {answer.error().message()}; see the server's log, or unload and load the model"
        )
    # Copied, because the server frees the memory together with the response.
    return np.array(pb_utils.get_output_tensor_by_name(answer, FEATURES).as_numpy())
