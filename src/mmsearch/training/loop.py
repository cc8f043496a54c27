"""The training loop: batches of pairs, early stopping on held-out recall, a log, and exact resumption."""

from __future__ import annotations

import functools
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmsearch.errors import TrainingError
from mmsearch.models.fusion.base import Fusion
from mmsearch.models.fusion.registry import give
from mmsearch.models.trained_files import CHECKPOINT, CURVE, LOG
from mmsearch.training import distributed
from mmsearch.training.curve import curve
from mmsearch.training.loss import chunked_backward
from mmsearch.training.objective import Features, Training, encoded, loss_of

STATE = "state"
_MORE = (
    "give pairs over more products, or a `holdout` in the architecture's `training`, 0 to stop by steps alone"
)
Say = Callable[[dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """The fusion with its best weights, and the training history."""

    fusion: Fusion
    best_step: int
    best_recall: float
    steps: int
    seconds: float


class Run:
    """The complete state of a training run, so that it can be saved and resumed."""

    def __init__(self, fusion: Fusion, data: Features, numbers: Training, device: torch.device) -> None:
        self.numbers = numbers
        self.device = device
        self.fusion = fusion.to(device)
        self.train_rows, self.held = split(data, numbers)
        self._given = data
        self.data = data.to(device).fitted(fusion)
        self.heat = torch.nn.Parameter(torch.tensor(math.log(numbers.temperature), device=device))
        self.optimizer = torch.optim.AdamW(
            [
                {"params": list(fusion.parameters()), "weight_decay": numbers.decay},
                {"params": [self.heat], "weight_decay": 0.0},
            ],
            lr=numbers.rate,
        )
        self.step = 0
        self.best: dict[str, Tensor] = {}
        self.best_step, self.best_recall, self.waited = 0, -1.0, 0

    @functools.cached_property
    def fingerprint(self) -> str:
        """hash of the original data; computed only when a checkpoint is read or written"""
        return self._given.fingerprint()

    def batch(self) -> tuple[Tensor, Tensor]:
        """Return rows and modality dropout of the next step. They depend only on the seed and the step
        number.
        """
        generator = torch.Generator().manual_seed(self.numbers.seed * 1_000_003 + self.step)
        size = min(self.numbers.batch, len(self.train_rows))
        rows = self.train_rows[torch.randperm(len(self.train_rows), generator=generator)[:size]]
        drop = torch.rand(size, 2, generator=generator)
        torch.manual_seed(self.numbers.seed * 7_000_003 + self.step)  # the layers' own dropout
        return rows.to(self.device), drop.to(self.device)

    def advance(self) -> float:
        """Run one step and return its loss."""
        self.fusion.train()
        rows, drop = self.batch()
        self.optimizer.zero_grad()
        if self.numbers.chunk or distributed.size() > 1:
            loss = self._in_slices(rows, drop)
        else:
            with self._mixed():
                vectors = encoded(self.fusion, self.data, rows, self.numbers, drop)
            # In float32, as for slices: a cosine divided by the temperature needs more than bfloat16's 8 bits
            # of precision.
            vectors = tuple(each.float() for each in vectors)
            loss = loss_of(vectors, self.data, rows, self.heat, self.numbers, drop)
            torch.autograd.backward(loss)
        self.optimizer.step()
        self.step += 1
        return float(loss.detach())

    def _in_slices(self, rows: Tensor, drop: Tensor) -> Tensor:
        """Compute the gradients of the batch in slices, distributed over the processes. Return the loss."""

        def encode(part: slice) -> tuple[Tensor, ...]:
            # Dropout is seeded by the slice, so that it does not depend on the process or on recomputation.
            torch.manual_seed((self.numbers.seed * 7_000_003 + self.step) * 1_009 + part.start)
            with self._mixed():
                return encoded(self.fusion, self.data, rows[part], self.numbers, drop[part])

        def loss(*vectors: Tensor) -> Tensor:
            return loss_of(vectors, self.data, rows, self.heat, self.numbers, drop)

        chunk = self.numbers.chunk or -(-len(rows) // distributed.size())
        found = chunked_backward(encode, len(rows), chunk, loss)
        # Every process has the full gradient of the temperature, but only its own slices' gradient of the
        # fusion.
        distributed.sum_gradients(self.fusion.parameters())
        return found

    def _mixed(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda")

    def judge(self) -> bool:
        """Measure held-out recall and store the best weights. Return False when patience is exhausted."""
        recall = distributed.agreed(self.held.recall(self.fusion.eval(), self.data), self.device)
        # Without held-out data there is no early stopping: the last weights are used.
        if recall > self.best_recall or not len(self.held.queries):
            self.best_recall, self.best_step, self.waited = recall, self.step, 0
            self.best = {name: value.detach().clone() for name, value in self.fusion.state_dict().items()}
        else:
            self.waited += 1
        return self.waited < self.numbers.patience

    def save(self, folder: Path) -> None:
        """Write weights, best weights, optimizer state and progress as one file, atomically."""
        from safetensors.torch import save_file

        tensors = {f"now.{name}": value for name, value in self.fusion.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors["heat"] = self.heat.detach()
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
        written = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        draft = folder / f".{CHECKPOINT}"
        progress = {
            "step": self.step,
            "best_step": self.best_step,
            "best_recall": self.best_recall,
            "waited": self.waited,
            "numbers": asdict(self.numbers),
            "data": self.fingerprint,
        }
        save_file(written, draft, metadata={STATE: json.dumps(progress)})
        draft.replace(folder / CHECKPOINT)

    def restore(self, folder: Path) -> None:
        """Restore what `save` wrote. Raise TrainingError when it belongs to other hyperparameters or data."""
        from safetensors import safe_open

        with safe_open(folder / CHECKPOINT, "pt") as file:
            progress = json.loads(file.metadata()[STATE])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        if progress["numbers"] != asdict(self.numbers):
            raise TrainingError(
                f"expected {folder} to be a training with the same numbers, got another; name another folder"
            )
        give(self.fusion, _under("now.", tensors), folder / CHECKPOINT)
        if progress.get("data") != self.fingerprint:
            raise TrainingError(
                f"expected {folder} to be a training over the same pairs, products and pictures, got others; "
                "name another folder"
            )
        self.best = {name: value.to(self.device) for name, value in _under("best.", tensors).items()}
        with torch.no_grad():
            self.heat.copy_(tensors["heat"])
        state = self.optimizer.state_dict()
        state["state"] = {}
        for name, value in _under("optimizer.", tensors).items():
            number, key = name.split(".", 1)
            state["state"].setdefault(int(number), {})[key] = value
        self.optimizer.load_state_dict(state)
        self.step, self.waited = progress["step"], progress["waited"]
        self.best_step, self.best_recall = progress["best_step"], progress["best_recall"]


def train(
    fusion: Fusion,
    data: Features,
    numbers: Training,
    *,
    device: torch.device | None = None,
    folder: Path | None = None,
    say: Say | None = None,
) -> Trained:
    """Train until the last step or until patience is exhausted. Return the fusion with its best weights.

    With a `folder`, every evaluation writes a checkpoint, and an interrupted training resumes from it with
    identical results. `say` is called with step, loss, recall and temperature at every evaluation.
    """
    started = time.monotonic()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    run = Run(fusion, data, numbers, device or pick_device())
    if folder is not None and (folder / CHECKPOINT).exists():
        run.restore(folder)
    goes_on = run.judge() if run.step == 0 else run.waited < numbers.patience
    while goes_on and run.step < numbers.steps:
        loss = run.advance()
        if run.step % numbers.evaluate_every and run.step != numbers.steps:
            continue
        goes_on = run.judge()
        line: dict[str, Any] = {
            "step": run.step,
            "loss": round(loss, 5),
            "recall": round(run.held.last, 5),
            "temperature": round(float(run.heat.detach().exp()), 5),
        }
        if say:
            say(line)
        if folder is not None and distributed.rank() == 0:
            run.save(folder)
            with (folder / LOG).open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            draw(folder, run.best_step)
    fusion.load_state_dict(run.best)
    return Trained(fusion.eval(), run.best_step, run.best_recall, run.step, time.monotonic() - started)


def pick_device() -> torch.device:
    """Return the GPU if torch finds one (each torchrun process its own), else the CPU."""
    return distributed.device(torch.cuda.is_available(), os.environ)


def draw(folder: Path, best_step: int) -> None:
    """Write the curve of the log so far. Of a step that was repeated after an interruption, the last entry
    counts.
    """
    lines = {}
    for line in (folder / LOG).read_text(encoding="utf-8").splitlines():
        read = json.loads(line)
        lines[read["step"]] = read
    (folder / CURVE).write_text(curve([lines[step] for step in sorted(lines)], best_step), encoding="utf-8")


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


class Held:
    """Held-out products and their queries, ranked against each other."""

    def __init__(self, items: Tensor, queries: Tensor, relevant: Tensor, ignored: Tensor) -> None:
        self.items, self.queries = items, queries
        self.relevant, self.ignored = relevant, ignored
        self.last = 0.0

    def recall(self, fusion: Fusion, data: Features) -> float:
        """Return the mean of recall@10 and nDCG@10 of the current fusion; 0 without held-out data."""
        if not len(self.queries):
            return 0.0
        with torch.inference_mode():
            nothing = torch.zeros(len(self.queries), data.item_image.shape[1], device=data.item_image.device)
            asked = fusion.query(data.query_text[self.queries], data.query_words[self.queries], nothing)[0]
            offered = fusion.item(data.item_text[self.items], data.item_image[self.items])[0]
            scores = (asked @ offered.T).cpu().masked_fill(self.ignored, -2.0)
            hits = self.relevant.gather(1, scores.topk(min(10, scores.shape[1])).indices).float()
            total = self.relevant.sum(1).float()
            discount = 1 / torch.log2(torch.arange(2, 2 + hits.shape[1]).float())
            ideal = torch.cumsum(discount, 0)[total.clamp(max=hits.shape[1]).long() - 1]
            found = (hits.sum(1) / total + (hits * discount).sum(1) / ideal) / 2
        self.last = float(found.mean())
        return self.last


def split(data: Features, numbers: Training) -> tuple[Tensor, Held]:
    """Return the training pairs, int64 [m], and the held-out data: whole groups, drawn by the seed.

    Raise TrainingError when nothing is held out, or fewer than two training pairs remain.
    """
    generator = torch.Generator().manual_seed(numbers.seed)
    names = torch.unique(data.group)
    count = int(len(names) * numbers.holdout)
    if numbers.holdout and not count:
        raise TrainingError(
            f"expected at least {math.ceil(1 / numbers.holdout)} groups of products, to hold "
            f"{numbers.holdout:.0%} of them out, got {len(names)}; {_MORE}"
        )
    chosen = names[torch.randperm(len(names), generator=generator)[:count]]
    is_held = torch.isin(data.group, chosen)
    of_held = is_held[data.pairs[:, 1]]
    items = torch.nonzero(is_held).squeeze(1)
    pairs = data.pairs[of_held]
    queries = torch.unique(pairs[:, 0])
    codes = queries.unsqueeze(1) * len(data.group) + items.unsqueeze(0)
    wanted = torch.sort(pairs[:, 0] * len(data.group) + pairs[:, 1]).values
    relevant = torch.isin(codes, wanted)
    ignored = data.is_known(codes) & ~relevant
    rows = torch.nonzero(~of_held).squeeze(1)
    if count and not len(queries):
        raise TrainingError(
            f"expected pairs for the {len(items)} products that are held out, got none; {_MORE}"
        )
    if len(rows) < 2:
        raise TrainingError(
            f"expected two pairs or more to train on, whose products are each other's negatives, got "
            f"{len(rows)}; give more pairs"
        )
    return rows, Held(items, queries, relevant, ignored)
