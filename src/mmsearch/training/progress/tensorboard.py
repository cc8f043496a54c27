"""Curves of a training for TensorBoard, where the package tensorboard is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

FOLDER = "tensorboard"
Board = Callable[[int, Mapping[str, float]], None]
"""receives the step of an evaluation and its values, by name"""


@contextmanager
def board(folder: Path | None, step: int) -> Iterator[Board]:
    """Context manager: writes events into `folder`/tensorboard, or nothing without a folder or the package.

    `step` is the step from which a training continues: events of later steps, written before an interruption,
    are replaced.
    """
    if folder is None or importlib.util.find_spec("tensorboard") is None:
        yield lambda step, values: None
        return
    from torch.utils.tensorboard.writer import SummaryWriter

    writer = SummaryWriter(str(folder / FOLDER), purge_step=step + 1 if step else None)

    def write(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)
        writer.flush()  # a curve is looked at while the training runs

    try:
        yield write
    finally:
        writer.close()
