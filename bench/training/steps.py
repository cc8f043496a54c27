"""Our training loop against a bare torch loop and sentence-transformers' on the same cached features.

    .venv/bin/python bench training [--rounds 7] [--short]

Steps a second. All arms draw a batch, run the same fusion and loss, and step the same optimiser; ours also
keeps its exact random state and what early stopping needs, and sentence-transformers' (the loop of its own,
which needs neither datasets nor accelerate) clips gradients and steps a schedule. Features are drawn, since
only time is measured. One thread of torch everywhere: on a shared machine two wait for each other by
spinning, and any arm may be the one that waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from gpu.check import features_drawn
from measuring.interleaved import measure
from measuring.options import Options
from sentence_transformers import SentenceTransformer

from mmsearch.models.architecture import load
from mmsearch.models.fusion import registry
from mmsearch.training.loop import Run
from mmsearch.training.objective import Training, batch_loss

STEPS = 10
PRODUCTS, QUERIES, PAIRS = 1300, 700, 4000


def new() -> Run:
    """A run over drawn features; each one the same."""
    torch.manual_seed(0)
    data = features_drawn(PRODUCTS, QUERIES, PAIRS)
    return Run(registry.build(load("4tmm_gated")), data, Training(titles=0.5), torch.device("cpu"))


def steps_per_second(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    for _ in range(STEPS):
        step()
    return STEPS / (time.perf_counter() - started)


class Pairs(torch.utils.data.Dataset[int]):
    """The rows of the pairs to train on, for a data loader."""

    def __init__(self, run: Run) -> None:
        self.rows = run.train_rows.tolist()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int) -> int:
        return int(self.rows[at])


class Loss(torch.nn.Module):
    """The loss of a batch of rows, in the shape that sentence-transformers calls it."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run, self.fusion, self.heat = run, run.fusion, run.heat

    def forward(self, features: list[dict[str, torch.Tensor]], labels: torch.Tensor) -> torch.Tensor:
        drop = torch.rand(len(labels), 2)
        return batch_loss(self.fusion, self.run.data, labels, self.heat, self.run.numbers, drop)


class Cached(SentenceTransformer):
    """A model whose inputs are features that lie ready: nothing is tokenised."""

    def smart_batching_collate(self, batch: list[int]) -> tuple[list[dict[str, torch.Tensor]], torch.Tensor]:
        return [], torch.tensor(batch)


def peer(run: Run) -> Callable[[], float]:
    """STEPS steps of sentence-transformers' own loop."""
    model, loss = Cached(modules=[torch.nn.Identity()], device="cpu"), Loss(run)
    batches = torch.utils.data.DataLoader(Pairs(run), batch_size=run.numbers.batch, shuffle=True)

    def once() -> float:
        started = time.perf_counter()
        model.old_fit(
            [(batches, loss)],
            steps_per_epoch=STEPS,
            warmup_steps=0,
            optimizer_params={"lr": run.numbers.rate},
            weight_decay=run.numbers.decay,
            show_progress_bar=False,
        )
        return STEPS / (time.perf_counter() - started)

    return once


def main() -> int:
    chosen = Options(__doc__, rounds=(7, 1)).parse()
    torch.set_num_threads(1)
    run = new()
    bare = new()

    def bare_step() -> None:
        rows = bare.train_rows[torch.randint(len(bare.train_rows), (bare.numbers.batch,))]
        drop = torch.rand(len(rows), 2)
        loss = batch_loss(bare.fusion, bare.data, rows, bare.heat, bare.numbers, drop)
        bare.optimizer.zero_grad()
        torch.autograd.backward(loss)
        bare.optimizer.step()

    bare.fusion.train()
    theirs = new()
    table = measure(
        "training",
        {
            "bare torch loop": lambda: steps_per_second(bare_step),
            "our loop": lambda: steps_per_second(run.advance),
            "sentence-transformers' loop": peer(theirs),
        },
        rounds=chosen.rounds,
        unit="steps a second",
    )
    table.target("our loop", "bare torch loop", at_least=0.95)
    table.target("our loop", "sentence-transformers' loop")
    return 0 if table.finish() else 1
