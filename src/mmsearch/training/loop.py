"""The training loop: batches of pairs, early stopping on held-out recall, a log, and exact resumption."""

from __future__ import annotations

import contextlib
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
from mmsearch.models import gain
from mmsearch.models.fusion.base import Fusion
from mmsearch.models.fusion.registry import give
from mmsearch.models.gain import Gain
from mmsearch.models.trained_files import CHECKPOINT, CURVE, LOG
from mmsearch.training import distributed, threads
from mmsearch.training.heldout.held import split
from mmsearch.training.loss import chunked_backward
from mmsearch.training.objective import Features, Training, encoded, loss_of
from mmsearch.training.progress.curve import curve
from mmsearch.training.progress.tensorboard import board
from mmsearch.training.towers.autocast import mixed
from mmsearch.training.towers.moving_inputs import MovingInputs

STATE = "state"
TOWER = "tower."
"""prefix of a moving tower's weights; no fusion has one"""
MOST_REFITTED = 8192
"""queries up to which the kernel map is fitted again at each evaluation: all of them are encoded for it"""
Say = Callable[[dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """The fusion and the moving towers with their best weights, and the training history.

    `gain` compares them with the untrained model on the held-out groups (None without any). `share` is the
    part of the trained tower in the interpolation with the frozen one. `architecture` is its name.
    """

    fusion: Fusion
    best_step: int
    best_recall: float
    steps: int
    seconds: float
    gain: Gain | None = None
    moving: MovingInputs | None = None
    share: float = 1.0
    architecture: str = ""


class Run:
    """The complete state of a training run, so that it can be saved and resumed."""

    def __init__(self, fusion: Fusion, data: Features, numbers: Training, device: torch.device) -> None:
        self.numbers = numbers
        self.device = device
        self.fusion = fusion.to(device)
        self.train_rows, self.held = split(data, numbers)
        self.steps = numbers.limit(len(self.train_rows))
        self._given = data
        self._there = data.to(device)
        self.data = self._there.fitted(fusion)
        self.moving = self.data.moving
        self.untrained = torch.zeros(0)
        self.heat = torch.nn.Parameter(torch.tensor(math.log(numbers.temperature), device=device))
        self.optimizer = torch.optim.AdamW(
            [
                {"params": list(fusion.parameters()), "weight_decay": numbers.decay},
                {"params": [self.heat], "weight_decay": 0.0},
                {
                    "params": list(self.moving.state().values()) if self.moving else [],
                    "weight_decay": numbers.tower_decay,
                    "lr": numbers.tower_rate,
                },
            ],
            lr=numbers.rate,
        )
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        self.step = 0
        self.best: dict[str, Tensor] = {}
        self.best_step, self.best_recall, self.waited = 0, -1.0, 0
        self.threads = numbers.threads

    @functools.cached_property
    def fingerprint(self) -> str:
        """hash of the original data; computed only when a checkpoint is read or written"""
        return self._given.fingerprint()

    def batch(self) -> tuple[Tensor, Tensor]:
        """Return rows and modality dropout of the next step. They depend only on the seed and the step
        number.
        """
        rows, drop = self._drawn(self.step)
        torch.manual_seed(self.numbers.seed * 7_000_003 + self.step)  # the layers' own dropout
        return rows.to(self.device), drop.to(self.device)

    def _drawn(self, step: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(self.numbers.seed * 1_000_003 + step)
        size = min(self.numbers.batch, len(self.train_rows))
        if self.numbers.passes:
            rows = self.train_rows[self._of_pass(step, size)]
        else:
            rows = self.train_rows[torch.randperm(len(self.train_rows), generator=generator)[:size]]
        return rows, torch.rand(size, 2, generator=generator)

    def _of_pass(self, step: int, size: int) -> Tensor:
        """Return the places of a step's batch in its pass. A rest smaller than a batch is skipped, and is
        another one in each pass.
        """
        number, place = divmod(step, len(self.train_rows) // size)
        generator = torch.Generator().manual_seed(self.numbers.seed * 3_000_017 + number)
        drawn = torch.randperm(len(self.train_rows), generator=generator)
        return drawn[place * size : (place + 1) * size]

    def advance(self) -> float:
        """Run one step and return its loss."""
        loss = self.descend()
        self.optimizer.step()
        self.step += 1
        return float(loss)

    def descend(self) -> Tensor:
        """Compute the next step's gradients, and return its loss. Nothing else is changed."""
        self.fusion.train()
        if self.moving:
            self.moving.learn()
        warmth = self.numbers.warmth(self.step, self.steps)
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * warmth
        rows, drop = self.batch()
        self._look_ahead(rows)
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
        return loss.detach()

    def take_threads(self) -> None:
        """Set the number of torch threads: the given one, that of the checkpoint, or for moving towers on a
        processor the fastest. Other trainings have too little to compute for a choice. Of several processes,
        torchrun sets each one's.
        """
        if self.threads:
            torch.set_num_threads(self.threads)
        elif distributed.size() > 1:
            return
        elif self.moving and self.device.type == "cpu":
            threads.take_fastest(self.descend)
        self.threads = torch.get_num_threads()

    def _look_ahead(self, rows: Tensor) -> None:
        """Draw how this step changes images, and begin to decode those of the next one."""
        if self.moving:
            self.moving.change(self._changes(0))
            # Of several processes each needs a part of the images alone, and decodes it when it is there.
            ahead = self.moving.pictures and distributed.size() == 1
            if ahead and self.step + 1 < self.steps:
                for batch in (rows.cpu(), self._drawn(self.step + 1)[0]):
                    self.moving.expect(self._given.pairs[batch, 1])

    def _changes(self, start: int) -> int:
        return (self.numbers.seed * 7_000_003 + self.step) * 1_009 + start

    def _in_slices(self, rows: Tensor, drop: Tensor) -> Tensor:
        """Compute the gradients of the batch in slices, distributed over the processes. Return the loss."""

        def encode(part: slice) -> tuple[Tensor, ...]:
            # Dropout is seeded by the slice, so that it does not depend on the process or on recomputation.
            torch.manual_seed(self._changes(part.start))
            if self.moving:
                self.moving.change(self._changes(part.start))
            with self._mixed():
                return encoded(self.fusion, self.data, rows[part], self.numbers, drop[part])

        def loss(*vectors: Tensor) -> Tensor:
            return loss_of(vectors, self.data, rows, self.heat, self.numbers, drop)

        chunk = self.numbers.chunk or -(-len(rows) // distributed.size())
        found = chunked_backward(encode, len(rows), chunk, loss)
        # Every process has the full gradient of the temperature, but only its own slices' gradient of the
        # fusion.
        towers = self.moving.state().values() if self.moving else ()
        distributed.sum_gradients([*self.fusion.parameters(), *towers])
        return found

    def _mixed(self) -> torch.autocast:
        return mixed(self.device, towers=self.moving is not None)

    def state(self) -> dict[str, Tensor]:
        """Return the weights of the fusion and those of the towers that move."""
        towers = self.moving.state() if self.moving else {}
        return self.fusion.state_dict() | {f"{TOWER}{name}": value for name, value in towers.items()}

    def give(self, state: dict[str, Tensor], source: Path) -> None:
        """Set the weights of `state`. Raise TrainingError when they are of another fusion."""
        give(self.fusion, {k: v for k, v in state.items() if not k.startswith(TOWER)}, source)
        if self.moving:
            self.moving.give(_under(TOWER, state))

    def refit(self) -> None:
        """Fit the closed-form parts of the fusion to the queries' vectors by the towers of now."""
        few = len(self.data.query_text) <= MOST_REFITTED
        if self.moving and few and self.data.item_image.any():
            self.data = self._there.fitted(self.fusion)

    def judge(self) -> bool:
        """Measure held-out recall and store the best weights. Return False when patience is exhausted."""
        if self.step:
            self.refit()
        recall = distributed.agreed(self._measured(), self.device)
        if not self.step:
            self.untrained = self.held.scores
        # Without held-out data there is no early stopping: the last weights are used.
        if recall > self.best_recall or not len(self.held.queries):
            self.best_recall, self.best_step, self.waited = recall, self.step, 0
            self.best = {name: value.detach().clone() for name, value in self.state().items()}
        else:
            self.waited += 1
        return self.waited < self.numbers.patience

    def _measured(self) -> float:
        if self.moving:
            self.moving.rest()
        self.held.measure(self.fusion.eval(), self.data)
        return self.held.last

    def close(self) -> None:
        """End the processes that decode images."""
        if self.moving:
            self.moving.close()

    def ended(self) -> float:
        """Set the best weights, and interpolate the towers with the frozen ones as the held-out groups say.
        Return the share of the trained towers.
        """
        self.give(self.best, Path())
        if not self.moving:
            self._measured()
            return 1.0
        ends = {name: tower.ended() for name, tower in self.moving.towers.items()}
        found: dict[float, tuple[float, Tensor]] = {}
        shares = self.numbers.shares if len(self.held.queries) else self.numbers.shares[:1]
        for share in shares:
            self._interpolate(ends, share)
            found[share] = (distributed.agreed(self._measured(), self.device), self.held.scores)
        best = max(found, key=lambda share: (found[share][0], share))
        self._interpolate(ends, best)
        self.best_recall, self.held.scores = found[best]
        return best

    def _interpolate(self, ends: dict[str, dict[str, Tensor]], share: float) -> None:
        for name, end in ends.items():
            if self.moving:
                self.moving.towers[name].interpolate(end, share)
        self.refit()

    def save(self, folder: Path) -> None:
        """Write weights, best weights, optimizer state and progress as one file, atomically."""
        from safetensors.torch import save_file

        tensors = {f"now.{name}": value for name, value in self.state().items()}
        tensors["untrained"] = self.untrained
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
            "moving": self._moves(),
            "threads": self.threads,
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
        if (Training.of(progress["numbers"]), progress.get("moving")) != (self.numbers, self._moves()):
            raise TrainingError(
                f"expected {folder} to be a training with the same numbers, got another; name another folder"
            )
        self.give(_under("now.", tensors), folder / CHECKPOINT)
        if progress.get("data") != self.fingerprint:
            raise TrainingError(
                f"expected {folder} to be a training over the same pairs, products and pictures, got others; "
                "name another folder"
            )
        self.best = {name: value.to(self.device) for name, value in _under("best.", tensors).items()}
        self.untrained = tensors["untrained"]
        with torch.no_grad():
            self.heat.copy_(tensors["heat"])
        state = self.optimizer.state_dict()
        state["state"] = {}
        for name, value in _under("optimizer.", tensors).items():
            number, key = name.split(".", 1)
            state["state"].setdefault(int(number), {})[key] = value
        self.optimizer.load_state_dict(state)
        self.step, self.waited = progress["step"], progress["waited"]
        if distributed.size() == 1:
            self.threads = progress.get("threads", 0)
        self.take_threads()  # on which the sums of the next lines depend
        self.best_step, self.best_recall = progress["best_step"], progress["best_recall"]
        self.refit()

    def _moves(self) -> dict[str, str]:
        towers = self.moving.towers if self.moving else {}
        return {name: str(tower.tower.moving) for name, tower in towers.items()}


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
    with contextlib.closing(run), threads.kept(), contextlib.ExitStack() as opened:
        if folder is not None and (folder / CHECKPOINT).exists():
            run.restore(folder)
        else:
            run.take_threads()
        write = opened.enter_context(board(folder if distributed.rank() == 0 else None, run.step))
        goes_on = run.judge() if run.step == 0 else run.waited < numbers.patience
        while goes_on and run.step < run.steps:
            loss = run.advance()
            if run.step % numbers.evaluate_every and run.step != run.steps:
                continue
            goes_on = run.judge()
            line: dict[str, Any] = {
                "step": run.step,
                "loss": round(loss, 5),
                "recall": round(run.held.last, 5),
                "temperature": round(float(run.heat.detach().exp()), 5),
            }
            if say:
                say(line | {"steps": run.steps})
            if folder is not None and distributed.rank() == 0:
                run.save(folder)
                with (folder / LOG).open("a", encoding="utf-8") as log:
                    log.write(json.dumps(line) + "\n")
                draw(folder, run.best_step)
            write(run.step, {name: line[name] for name in ("loss", "recall", "temperature")})
        share = run.ended()
    return Trained(
        fusion.eval(),
        run.best_step,
        run.best_recall,
        run.step,
        time.monotonic() - started,
        gain.of(run.untrained.double().numpy(), run.held.scores.double().numpy()),
        run.moving,
        share,
    )


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
