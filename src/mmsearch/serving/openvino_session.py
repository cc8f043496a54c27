"""A tower in OpenVINO, on the CPU."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import LifoQueue
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .runtime import bf16_hidden

# OpenVINO's converter reports to its maker by this package. Without it, it takes its own stub. Only the
# runtime is used here.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino  # noqa: E402

HINTS = {"bf16": "bf16", "fp32": "f32", "int8": "f32"}
"""precision → arithmetic of what is not int8 in the file"""


def has_bf16() -> bool:
    """Return whether OpenVINO finds bf16 units in this processor, and the environment does not hide them."""
    return not bf16_hidden() and "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVINOSession:
    """A file compiled for `workers` concurrent calls of `threads` threads each, which share the weights."""

    def __init__(
        self, file: Path, precision: str, threads: int, workers: int, warn: Callable[[str], None]
    ) -> None:
        if precision == "bf16" and not has_bf16():
            warn(f"expected bf16 units to run {file.name}, got none; it runs in fp32; repair: mmsearch up")
            precision = "fp32"
        options = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "INFERENCE_NUM_THREADS": threads * workers,
            "NUM_STREAMS": workers,
            # Every process would pin its threads to the same first cores.
            "ENABLE_CPU_PINNING": False,
        }
        compiled = openvino.Core().compile_model(str(file), "CPU", options)
        self._places = {output.any_name: number for number, output in enumerate(compiled.outputs)}
        self._inputs = [SimpleNamespace(name=each.any_name) for each in compiled.inputs]
        self._idle: LifoQueue[Any] = LifoQueue()
        for _ in range(workers):
            self._idle.put(compiled.create_infer_request())
        # OpenVINO's Python code fills tables at its first call, and blocks forever if two threads do so.
        self.run(
            list(self._places),
            {
                each.any_name: np.ones(
                    [size.get_length() if size.is_static else 1 for size in each.partial_shape],
                    each.element_type.to_dtype(),
                )
                for each in compiled.inputs
            },
        )

    def get_inputs(self) -> list[Any]:
        """Return the inputs, each with its `name`, as onnxruntime does."""
        return list(self._inputs)

    def run(self, wanted: list[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return the named outputs of n rows. Releases the GIL while it computes."""
        request = self._idle.get()
        try:
            # Shared inputs are read in place, so they must be contiguous.
            inputs = {name: np.ascontiguousarray(array) for name, array in feeds.items()}
            found = request.infer(inputs, share_inputs=True, share_outputs=True)
            # Copied, because the next call writes into the same memory.
            return [np.array(found[self._places[name]]) for name in wanted]
        finally:
            self._idle.put(request)
