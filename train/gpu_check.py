"""`make gpu-check`: trains on a GPU, serves the towers on it through Triton, and compares it with the CPU.

Where there is no GPU it ends with one sentence.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import tritonclient.grpc as grpcclient
from numpy.typing import NDArray

from ..stack import drawn, embedded
from ..stack.processes import myself
from ..stack.state import Home
from .architecture import load
from .build import ModelSet, build
from .repository import assemble
from .synthetic import write
from .training import run

Array = NDArray[np.int64] | NDArray[np.uint8]
SIZES = (1, 8, 32, 64)
CALLS = 10
STEPS = 100
RESULT = Path("build/gpu-check.json")


def lacking(cuda: bool, providers: Sequence[str]) -> str | None:
    """Why nothing can be checked here, in one sentence, or None where it can."""
    if not cuda:
        return (
            "No GPU is visible to torch, so there is nothing to check; run this where nvidia-smi lists one."
        )
    if "CUDAExecutionProvider" not in providers:
        return (
            f"expected onnxruntime with CUDAExecutionProvider, got {', '.join(providers)}; "
            "repair: pip install onnxruntime-gpu in place of onnxruntime"
        )
    return None


def rate(call: Callable[[], object], rows: int) -> float:
    """Rows a second of one caller, after two calls to warm up."""
    for _ in range(2):
        call()
    started = time.perf_counter()
    for _ in range(CALLS):
        call()
    return CALLS * rows / (time.perf_counter() - started)


def inputs(rows: int) -> dict[str, dict[str, Array]]:
    """What each tower is asked with, by the name of its Triton model."""
    pixels = np.random.default_rng(0).integers(0, 256, (rows, 224, 224, 3), np.uint8)
    ids = np.full((rows, 16), 2000, np.int64)
    return {
        "bibert_query": {"INPUT_IDS": ids, "ATTENTION_MASK": np.ones_like(ids)},
        "clip_image": {"PIXELS": pixels},
    }


def throughput(built: ModelSet, triton: str) -> list[dict[str, object]]:
    """Rows a second of each tower by batch size: through Triton, and by onnxruntime on the CPU."""
    kinds = {"INPUT_IDS": "INT64", "ATTENTION_MASK": "INT64", "PIXELS": "UINT8"}
    towers = {"bibert_query": "minilm", "clip_image": "lite0"}
    sessions = {
        model: onnxruntime.InferenceSession(
            built.towers[name].onnx("fp32"), providers=["CPUExecutionProvider"]
        )
        for model, name in towers.items()
    }
    rows = []
    with grpcclient.InferenceServerClient(triton) as client:
        for size in SIZES:
            for model, feed in inputs(size).items():
                tensors = []
                for name, array in feed.items():
                    tensor = grpcclient.InferInput(name, list(array.shape), kinds[name])
                    tensor.set_data_from_numpy(array)
                    tensors.append(tensor)

                def served(model: str = model, tensors: list[object] = tensors) -> object:
                    return client.infer(model, tensors)

                def bare(model: str = model, feed: dict[str, Array] = feed) -> object:
                    return sessions[model].run(None, feed)

                found = {"triton on the GPU": rate(served, size), "onnxruntime on the CPU": rate(bare, size)}
                rows.append({"model": model, "batch": size} | {k: round(v, 1) for k, v in found.items()})
    return rows


def main() -> int:
    why = lacking(torch.cuda.is_available(), onnxruntime.get_available_providers())
    if why:
        print(why)  # noqa: T201 - this is a command
        return 0 if not torch.cuda.is_available() else 1

    def say(line: str) -> None:
        print(f"  {line}", file=sys.stderr, flush=True)  # noqa: T201

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        catalogue = drawn.write_catalogue(folder / "catalogue")
        write(catalogue, folder / "pairs.jsonl")
        trained = run(
            load("4tmm_gated"),
            folder / "pairs.jsonl",
            catalogue,
            folder / "trained",
            image_root=None,
            changes={"steps": STEPS},
            say=say,
            evaluated=lambda line, steps: None,
        )
        home = Home.at(folder / "home")
        built = build(load("4tmm_cat"), "fp32", say)
        assemble(built, home.models)
        wanted = embedded.Wanted(
            servers=("triton",),
            http_port=0,
            triton_http_port=0,
            triton_grpc_port=0,
            triton_metrics_port=0,
            while_alive=myself(),
        )
        try:
            embedded.up(home, wanted, lambda _: None)
            at = home.ports()
            if at is None:
                raise RuntimeError("expected a Triton that has started, got none")
            rows = throughput(built, f"127.0.0.1:{at.triton_grpc}")
        finally:
            embedded.delete(home)
    report = {
        "device": torch.cuda.get_device_name(),
        "training seconds": round(trained.seconds, 1),
        "steps": trained.steps,
        "rows a second": rows,
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
