"""An onnxruntime session on the GPU where there is one, else on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

GPU, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
# By default cuDNN tries every algorithm for each new batch size, which takes it a second; and TF32 moves the
# features by 5e-4 from the CPU's, where single precision moves them by 8e-7 and is a seventh slower at most.
GPU_OPTIONS = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}


def quiet(threads: int = 1) -> onnxruntime.SessionOptions:
    """Options of a session that shares its machine with others: so many threads, none of which spins."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def providers(available: Sequence[str]) -> list[Any]:
    """The execution providers to ask for: the GPU's where onnxruntime has it, then the CPU's.

    TensorRT is left to Triton's own backend: building its engines here would block every request.
    """
    return [(GPU, GPU_OPTIONS), CPU] if GPU in available else [CPU]


def open_session(file: Path, options: Any) -> onnxruntime.InferenceSession:
    """A session on what `providers` says; `chosen` says what it became."""
    available = onnxruntime.get_available_providers()
    if GPU in available and hasattr(onnxruntime, "preload_dlls"):
        # Finds CUDA and cuDNN in NVIDIA's wheels, which lie on no library path.
        onnxruntime.preload_dlls()
    return onnxruntime.InferenceSession(str(file), options, providers=providers(available))


def chosen(session: onnxruntime.InferenceSession) -> str:
    """The provider that runs the session. Where CUDA's libraries are missing onnxruntime takes the CPU."""
    return str(session.get_providers()[0])


class BySize:
    """A model on batches of any size by sessions that each see one size alone.

    On a GPU onnxruntime chooses each convolution's algorithm anew whenever the batch is not as large as the
    last one: a third of a second, on an H200 as well, and dynamic batches are never as large as the last.
    """

    def __init__(self, opened: Callable[[], Any], most: int) -> None:
        """Opens a session for each of `sizes(most)` and runs it once, on zeros of uint8."""
        self._sessions = {size: opened() for size in sizes(most)}
        for size, session in self._sessions.items():
            given = session.get_inputs()
            session.run(None, {each.name: np.zeros((size, *each.shape[1:]), np.uint8) for each in given})

    def run(self, wanted: list[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """The outputs of n rows, which are filled up with zeros to the next size; more than `most` are
        computed as they come."""
        rows = len(next(iter(feeds.values())))
        size = next((size for size in self._sessions if size >= rows), max(self._sessions))
        answers = self._sessions[size].run(wanted, padded(feeds, size))
        return [answer[:rows] for answer in answers]


def sizes(most: int) -> list[int]:
    """The batch sizes that have a session: 1, powers of two from 8, and `most`.

    Between 1 and 8 pictures a GPU takes hardly longer for more of them.
    """
    return sorted({1, most} | {1 << power for power in range(3, most.bit_length()) if 1 << power < most})


def padded(feeds: Mapping[str, NDArray[Any]], size: int) -> dict[str, NDArray[Any]]:
    """The inputs with rows of zeros up to `size`; as they are where they have as many."""
    rows = len(next(iter(feeds.values())))
    if rows >= size:
        return dict(feeds)
    return {
        name: np.concatenate([array, np.zeros((size - rows, *array.shape[1:]), array.dtype)])
        for name, array in feeds.items()
    }
