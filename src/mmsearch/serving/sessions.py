"""onnxruntime sessions on the GPU if there is one, else on the CPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# onnxruntime reports to its maker from its first session on, unless it is told not to before its import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument as InvalidArgument

GPU, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
# By default cuDNN benchmarks every algorithm for each new batch size, which takes a second. TF32 changes
# features by 5e-4 compared with the CPU; float32 changes them by 8e-7 and is at most a seventh slower.
GPU_OPTIONS = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}


def exact(threads: int = 0) -> onnxruntime.SessionOptions:
    """Return session options by which int8 models are computed alike on every processor; 0 threads means one
    a core.

    By default, processors without VNNI add pairs of int8 products in 16 bits, which overflow: MiniLM had a
    mean cosine to fp32 of .9964 (lowest .9916) instead of .9983 (.9952). This setting adds them in 32 bits;
    it took no longer with AVX2.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def quiet(threads: int = 1) -> onnxruntime.SessionOptions:
    """Return session options for a shared machine: this many threads, without spinning."""
    options = exact(threads)
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def providers(available: Sequence[str]) -> list[Any]:
    """Return the execution providers: CUDA if onnxruntime has it, then the CPU.

    TensorRT is left to Triton's own backend, since building its engines here would block every request.
    """
    return [(GPU, GPU_OPTIONS), CPU] if GPU in available else [CPU]


def open_session(file: Path, options: Any) -> onnxruntime.InferenceSession:
    """Open a session with `providers`; `chosen` returns the one in use."""
    available = onnxruntime.get_available_providers()
    if GPU in available and hasattr(onnxruntime, "preload_dlls"):
        # Loads CUDA and cuDNN from NVIDIA's wheels, which are on no library path.
        onnxruntime.preload_dlls()
    return onnxruntime.InferenceSession(str(file), options, providers=providers(available))


def on_cpu_alone() -> bool:
    """Return whether onnxruntime has no GPU."""
    return providers(onnxruntime.get_available_providers()) == [CPU]


def open_on_cpu(file: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """Open a session on the CPU, also where there is a GPU."""
    return onnxruntime.InferenceSession(str(file), quiet(threads), providers=[CPU])


def chosen(session: onnxruntime.InferenceSession) -> str:
    """Return the provider of the session. onnxruntime falls back to the CPU if CUDA's libraries are
    missing.
    """
    return str(session.get_providers()[0])


class BySize:
    """Runs a model on batches of any size with one session per fixed batch size.

    On a GPU onnxruntime selects each convolution's algorithm again when the batch size changes. This takes a
    third of a second (also on an H200), and the size of dynamic batches changes all the time.
    """

    def __init__(self, opened: Callable[[], Any], most: int) -> None:
        """Open a session for each of `sizes(most)` and run it once on zeros of uint8."""
        self._sessions = {size: opened() for size in sizes(most)}
        for size, session in self._sessions.items():
            given = session.get_inputs()
            session.run(None, {each.name: np.zeros((size, *each.shape[1:]), np.uint8) for each in given})

    def run(self, wanted: list[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return the outputs of n rows, padded by zeros to the next size. Batches above `most` are run
        unpadded.
        """
        rows = len(next(iter(feeds.values())))
        size = next((size for size in self._sessions if size >= rows), max(self._sessions))
        answers = self._sessions[size].run(wanted, padded(feeds, size))
        return [answer[:rows] for answer in answers]


def sizes(most: int) -> list[int]:
    """Return the batch sizes that have a session: 1, powers of two from 8, and `most`.

    On a GPU, 8 images take hardly longer than 2.
    """
    return sorted({1, most} | {1 << power for power in range(3, most.bit_length()) if 1 << power < most})


def padded(feeds: Mapping[str, NDArray[Any]], size: int) -> dict[str, NDArray[Any]]:
    """Return the inputs padded by zero rows to `size`, or unchanged if they have as many."""
    rows = len(next(iter(feeds.values())))
    if rows >= size:
        return dict(feeds)
    return {
        name: np.concatenate([array, np.zeros((size - rows, *array.shape[1:]), array.dtype)])
        for name, array in feeds.items()
    }
