"""`make gpu-check`: trains on a GPU, serves the towers on it through Triton, and compares both with the CPU.

    .venv/bin/python qa gpu [--triton HOST:PORT] [--rounds 5]

Where there is no GPU it says so, and measures on the CPU what the entry model adds beside its towers. With
`--triton` it measures towers and products of a Triton that runs already, such as NVIDIA's container, whose
towers are run by the onnxruntime backend with TensorRT.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
import tritonclient.grpc as grpcclient
from gpu import entry_cost
from gpu.callers import Load, inputs, measure, tensors
from sample_data import drawn

from mmsearch.models.architecture import load
from mmsearch.models.build import ModelSet, build
from mmsearch.models.fusion import registry
from mmsearch.models.fusion.base import unit
from mmsearch.models.repository import assemble
from mmsearch.serving.sessions import CPU, GPU, chosen, open_session
from mmsearch.stack import embedded
from mmsearch.stack.state import Home
from mmsearch.training import loop
from mmsearch.training.objective import Features, Training
from mmsearch.training.pairs import features, read_pairs, read_products
from mmsearch.training.run import run
from mmsearch.training.synthetic import write

TOWERS = {"bibert_query": "minilm", "clip_image": "lite0"}
PICTURES, ENTRY = "clip_image", "item_encoder"
SIZES = (1, 8, 32, 64)
MANY, AT_ONCE = 64, (2, 4, 8, 16)
"""rows of a batch and callers by which entry and tower are compared"""
AT_LEAST = 0.7
"""of the picture tower's rows a second, through the entry model"""
SECONDS = 1.5
STEPS = 100
DELAYS = (0, 500)  # µs
RESULT = Path("build/gpu-check.json")
LOG = Path("build/gpu-check-triton.log")

Report = dict[str, Any]
Say = Callable[[str], None]


def lacking(cuda: bool, providers: Sequence[str]) -> str | None:
    """Why nothing can be checked here, in one sentence, or None where it can."""
    if not cuda:
        return (
            "No GPU is visible to torch, so what the entry adds is measured on the CPU; run this where "
            "nvidia-smi lists a GPU to check one."
        )
    if GPU not in providers:
        return (
            f"expected onnxruntime with {GPU}, got {', '.join(providers)}; "
            "repair: pip install onnxruntime-gpu in place of onnxruntime"
        )
    return None


def rate(call: Callable[[], object], rows: int) -> float:
    """Rows a second of one caller, after three calls to warm up."""
    for _ in range(3):
        call()
    started, calls = time.perf_counter(), 0
    while (spent := time.perf_counter() - started) < SECONDS or calls < 3:
        call()
        calls += 1
    return calls * rows / spent


def served_on(log: str) -> dict[str, str]:
    """The provider that runs each tower's newest session, by model, as Triton's log says."""
    return dict(re.findall(r"\b(\w+) \d+ runs on (\w+)", log))


def alone(built: ModelSet, triton: str) -> list[Report]:
    """Rows a second of one caller by tower and batch: through Triton, and bare sessions on GPU and CPU.

    `least cosine` is the least over the rows of what Triton and the CPU answer for the same inputs.
    """
    rows = []
    with grpcclient.InferenceServerClient(triton) as client:
        for model, name in TOWERS.items():
            file = built.towers[name].onnx("fp32")
            sessions = {
                "bare GPU": open_session(file, onnxruntime.SessionOptions()),
                f"CPU, {os.cpu_count()} threads": on_cpu(file, os.cpu_count() or 1),
                "CPU, 1 thread": on_cpu(file, 1),
            }
            if chosen(sessions["bare GPU"]) != GPU:
                raise RuntimeError(f"expected a session on {GPU}, got {chosen(sessions['bare GPU'])}")
            for size in SIZES:
                feed = inputs(model, size)
                asked = tensors(feed)
                found = {"Triton": rate(partial(client.infer, model, asked), size)}
                for arm, session in sessions.items():
                    found[arm] = rate(partial(session.run, None, feed), size)
                answered = client.infer(model, asked).as_numpy("FEATURES")
                expected = sessions["CPU, 1 thread"].run(["FEATURES"], feed)[0]
                cosine = (answered * expected).sum(1) / (
                    np.linalg.norm(answered, axis=1) * np.linalg.norm(expected, axis=1)
                )
                rows.append(
                    {"model": model, "batch": size}
                    | {arm: round(value, 1) for arm, value in found.items()}
                    | {"least cosine": round(float(cosine.min()), 7)}
                )
    return rows


def on_cpu(file: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(file), options, providers=[CPU])


def together(home: Home, triton: str) -> list[Report]:
    """Several callers at once, by tower, queue delay (µs), callers and batch."""
    found = []
    for model in TOWERS:
        for delay in DELAYS:
            with delayed(home, triton, model, delay):
                for callers in (8, 32):
                    for batch in (1, 8):
                        load = Load(triton, model, batch, callers)
                        found.append(asked(load) | {"delay": delay} | measure(load))
    return found


@contextmanager
def delayed(home: Home, triton: str, model: str, delay: int) -> Iterator[None]:
    """The model as served with another queue delay (µs) for as long as the block runs."""
    config = home.models / model / "config.pbtxt"
    before = config.read_text(encoding="utf-8")
    changed = re.sub(r"max_queue_delay_microseconds: \d+", f"max_queue_delay_microseconds: {delay}", before)
    if "max_queue_delay" not in before:  # 0 is what a message leaves out
        changed = re.sub(
            r"dynamic_batching \{", f"dynamic_batching {{ max_queue_delay_microseconds: {delay}", before
        )
    with grpcclient.InferenceServerClient(triton) as client:
        try:
            config.write_text(changed, encoding="utf-8")
            client.load_model(model)
            yield
        finally:
            config.write_text(before, encoding="utf-8")
            client.load_model(model)


def products(triton: str) -> list[Report]:
    """Pixels and descriptions through `item_encoder`, products a second by callers and batch."""
    loads = [Load(triton, ENTRY, batch, callers) for callers in (1, 8, 16) for batch in (1, 8, 32)]
    return [asked(load) | measure(load) for load in loads]


def beside_tower(triton: str) -> Report:
    """The entry model's products a second relative to the picture tower's pictures, each at its best number
    of callers."""
    found = {
        model: [asked(load) | measure(load) for load in (Load(triton, model, MANY, each) for each in AT_ONCE)]
        for model in (PICTURES, ENTRY)
    }
    best = {model: max(row["rows a second"] for row in rows) for model, rows in found.items()}
    ratio = round(best[ENTRY] / best[PICTURES], 3)
    return {**found, "ratio": ratio, "target": AT_LEAST, "met": ratio >= AT_LEAST}


def backends(triton: str) -> dict[str, str]:
    """What runs each tower, by its config: a backend, and what it leaves the work to."""
    found = {}
    with grpcclient.InferenceServerClient(triton) as client:
        for model in TOWERS:
            config = client.get_model_config(model).config
            accelerators = config.optimization.execution_accelerators.gpu_execution_accelerator
            found[model] = " with ".join(
                [config.backend or config.platform, *(each.name for each in accelerators)]
            )
    return found


def asked(load: Load) -> Report:
    return {key: value for key, value in asdict(load).items() if key in ("model", "callers", "batch")}


def trainings(folder: Path, say: Say) -> Report:
    """One training by device, the first as `mmsearch train` does it: seconds, steps, recall."""
    catalog = drawn.write_catalog(folder / "catalog")
    write(catalog, folder / "pairs.jsonl")
    architecture = load("4tmm_gated")
    numbers = {"steps": STEPS, "patience": STEPS}
    on_gpu = run(
        architecture,
        folder / "pairs.jsonl",
        catalog,
        folder / "trained",
        image_root=None,
        changes=numbers,
        say=say,
        evaluated=lambda line, steps: None,
    )
    data = features(
        architecture, read_products(catalog, say=say), read_pairs(folder / "pairs.jsonl"), lambda _: None
    )
    training = Training.of({**architecture.data.get("training", {}), **numbers})
    trained = {"GPU, CUDA's start included": on_gpu}
    for device in ("cuda", "cpu"):
        torch.manual_seed(training.seed)
        trained[device] = loop.train(
            registry.build(architecture), data, training, device=torch.device(device)
        )
    return {
        name: {"seconds": round(each.seconds, 2), "steps": each.steps, "recall": round(each.best_recall, 4)}
        for name, each in trained.items()
    }


def steps() -> list[Report]:
    """Steps a second of the loop by batch, on drawn features of 20,000 pairs."""
    found = []
    for batch, chunk in ((256, 0), (2048, 512)):
        row: Report = {"batch": batch, "chunk": chunk}
        for device in ("cuda", "cpu"):
            torch.manual_seed(0)
            numbers = Training(titles=0.5, batch=batch, chunk=chunk)
            trained = loop.Run(
                registry.build(load("4tmm_gated")), features_drawn(), numbers, torch.device(device)
            )
            row[device] = round(rate(trained.advance, 1), 2)
        found.append(row)
    return found


def features_drawn(products: int = 4000, queries: int = 4000, pairs: int = 20_000) -> Features:
    """Random features of the trained architectures' widths."""
    generator = torch.Generator().manual_seed(0)

    def rows(count: int, width: int) -> torch.Tensor:
        return unit(torch.randn(count, width, generator=generator))

    drawn_pairs = torch.stack(
        [torch.randint(count, (pairs,), generator=generator) for count in (queries, products)], dim=1
    )
    return Features(
        query_text=rows(queries, 384),
        query_words=rows(queries, 384),
        item_text=rows(products, 384),
        item_image=rows(products, 3540),
        pairs=drawn_pairs,
        counts=torch.ones(pairs),
        known=torch.unique(drawn_pairs[:, 0] * products + drawn_pairs[:, 1]),
        group=torch.arange(products),
        negatives=torch.zeros(queries, 0, dtype=torch.int64),
    )


@contextmanager
def serving(built: ModelSet, folder: Path) -> Iterator[tuple[Home, str]]:
    """A Triton of its own for the set, and its gRPC address; its log is kept beside the result."""
    home = Home.at(folder / "home")
    assemble(built, home.models)
    try:
        with embedded.borrowed(home, ("triton",)) as at:
            yield home, f"127.0.0.1:{at.triton_grpc}"
    finally:
        LOG.parent.mkdir(parents=True, exist_ok=True)
        if home.log("triton").exists():
            shutil.copyfile(home.log("triton"), LOG)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--triton", metavar="HOST:PORT", help="gRPC address of a Triton that runs already")
    parser.add_argument("--rounds", type=int, default=5, help="of the check on the CPU; 5 by default")
    asked = parser.parse_args()
    if asked.triton:
        parts = Parts({})
        parts.measure("backends", lambda: backends(asked.triton))
        parts.measure_served(asked.triton)
        return parts.end()
    why = lacking(torch.cuda.is_available(), onnxruntime.get_available_providers())
    if why:
        print(why)
        if torch.cuda.is_available():
            return 1
        return 0 if entry_cost.table(asked.rounds).finish() else 1
    parts = Parts(
        {
            "device": torch.cuda.get_device_name(),
            "torch": torch.__version__,
            "onnxruntime": onnxruntime.__version__,
            "processors": os.cpu_count(),
        }
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts.measure("training", lambda: trainings(folder, say))
        parts.measure("steps a second", steps)
        built = build(load("4tmm_cat"), "fp32", say)
        with serving(built, folder) as (home, triton):
            on = served_on(home.log("triton").read_text(encoding="utf-8", errors="replace"))
            parts.report["served on"] = on
            parts.failed += [f"{model} on the GPU" for model in TOWERS if on.get(model) != GPU]
            parts.measure("one caller", lambda: alone(built, triton))
            parts.measure("callers at once", lambda: together(home, triton))
            parts.measure_served(triton)
    return parts.end()


def say(line: str) -> None:
    """Progress goes beside the report."""
    print(f"  {line}", file=sys.stderr, flush=True)


class Parts:
    """The parts of the report, written to RESULT after each; `failed` names those that were not measured."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.failed: list[str] = []

    def measure(self, name: str, measured: Callable[[], object]) -> None:
        """Measures one part; what fails is told, and the others are measured all the same."""
        say(name)
        try:
            self.report[name] = measured()
        except Exception as error:
            self.report[name] = f"{type(error).__name__}: {error}"
            self.failed.append(name)
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(self.report, indent=2) + "\n", encoding="utf-8")

    def measure_served(self, triton: str) -> None:
        """What is measured of any Triton."""
        self.measure("whole products", lambda: products(triton))
        self.measure("entry beside its picture tower", lambda: beside_tower(triton))

    def end(self) -> int:
        """Print the report; the exit code."""
        print(json.dumps(self.report, indent=2))
        if self.failed:
            say(f"expected every part to be measured on the GPU, got failures in: {', '.join(self.failed)}")
        return 1 if self.failed else 0
