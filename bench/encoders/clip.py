"""CLIPs by their open_clip names: memory and rate of the served towers.

    .venv/bin/python bench clip [--models ViT-B-32 MobileCLIP2-S0] [--precision fp32] [--rounds 7] [--short]

Weights are random, of the model's true sizes: they change neither memory nor rate. Each model is served for
itself. Memory is that of all processes of Triton, proportionally shared (PSS), after the measured calls.
Texts are queries to `query_encoder`, images pixels to the image tower. Rates are taken from the processor
time of Triton, which depends less on other programs than the time that passes does.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import open_clip
import torch
from measuring.carriers import by_grpc, strings, tensor
from measuring.interleaved import Table, measure
from measuring.options import Options
from measuring.real_node import family, processor_seconds, say
from safetensors.torch import save_file

from mmsearch.models import repository
from mmsearch.models.build import ModelSet, build
from mmsearch.models.named import named
from mmsearch.stack import embedded
from mmsearch.stack.state import Home

NAMES = ("ViT-B-32", "MobileCLIP2-S0")
TEXT = "a comfortable armchair with wooden legs"
BATCH, CALLS = 8, 5


def main() -> int:
    parser = Options(__doc__, rounds=(7, 1))
    parser.add_argument("--models", nargs="+", default=list(NAMES), help="open_clip names")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "int8"), help="of the text tower")
    chosen = parser.parse()
    tables = [measured(name, chosen.precision, chosen.rounds) for name in chosen.models]
    finished = [table.finish() for table in tables]
    return 0 if all(finished) else 1


def measured(name: str, precision: str, rounds: int) -> Table:
    """Serve a model with random weights and return its figures."""
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        model = open_clip.create_model(name, pretrained=None, pretrained_text=False)
        file = Path(folder) / f"{name}.safetensors"
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, file)
        del model
        # Exports of random weights are of no use to others.
        os.environ["MMSEARCH_CACHE"] = str(Path(folder) / "cache")
        built = build(named(name, str(file)), precision, say)
        home = Home.at(Path(folder) / "home")
        repository.assemble(built, home.models)
        with embedded.borrowed(home, ("triton",), say) as ports:
            return rates(name, built, f"127.0.0.1:{ports.triton_grpc}", home, rounds)


def rates(name: str, built: ModelSet, address: str, home: Home, rounds: int) -> Table:
    size = int(built.architecture.towers["image"].numbers["size"])
    drawn = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3), np.uint8)
    # More than the default message, 4 MB.
    channel = grpc.insecure_channel(address, options=[("grpc.max_send_message_length", 1 << 30)])
    calls: dict[str, Callable[[], object]] = {}
    for rows in (1, BATCH):
        texts = [strings("TEXT", [TEXT.encode()] * rows), strings("IMAGE", [b""] * rows)]
        calls[f"texts, batch {rows}"] = by_grpc(channel, "query_encoder", texts, ("EMBEDDING",))
        pixels = [tensor("PIXELS", drawn[:rows])]
        calls[f"images, batch {rows}"] = by_grpc(channel, "clip_image", pixels, ("FEATURES",))
    for call in calls.values():
        call()  # the first call of each shape prepares the session for it
    running = home.running("triton")
    if running is None or running.child is None:
        raise RuntimeError("expected Triton to run while it is measured, got no process")
    pid = running.child.pid

    def processor_ms(what: str) -> float:
        rows, before = CALLS * int(what.rpartition(" ")[2]), processor_seconds([pid])
        for _ in range(CALLS):
            calls[what]()
        return 1000 * (processor_seconds([pid]) - before) / rows

    arms = {what: (lambda what=what: processor_ms(what)) for what in calls}
    table = measure(f"clip-{name}-{built.precision}", arms, rounds=rounds, unit="processor ms a row")
    for what in calls:
        table.figure(f"{what}: rows a second of one core", 1000 / statistics.median(table.figures[what]), {})
    used = sum(process.memory_full_info().pss for process in family(pid))
    table.figure("memory of Triton, MB", used / 1e6, {}, exact=True)
    for tower in built.towers.values():
        megabytes = tower.onnx(built.precision).stat().st_size / 1e6
        table.figure(f"file of the {tower.tower.name} tower, MB", megabytes, {}, exact=True)
    return table
