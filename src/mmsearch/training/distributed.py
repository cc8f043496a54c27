"""Several processes as one training: each encodes its slices of the batch, all see the whole loss.

Started by `torchrun`, which sets the environment that is read here; without it everything is one process.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn


def rank() -> int:
    """This process's number, 0 where there is only one."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def size() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def device(cuda: bool, environment: Mapping[str, str]) -> torch.device:
    """Each process's own GPU where torch finds any, else the CPU."""
    return torch.device("cuda", int(environment.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")


@contextmanager
def group() -> Iterator[None]:
    """Joins torchrun's other processes for as long as the block runs; one process joins nothing."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield
        return
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


@contextmanager
def first() -> Iterator[None]:
    """The block runs in process 0 before it does in the others: what it writes to disk, they find there."""
    if size() > 1 and rank() > 0:
        distributed.barrier()
    yield
    if size() > 1 and rank() == 0:
        distributed.barrier()


def summed(tensor: Tensor) -> Tensor:
    """The sum over all processes, in place."""
    if size() > 1:
        distributed.all_reduce(tensor)
    return tensor


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Adds up each parameter's gradient over the processes; one that nobody has stays none."""
    if size() == 1:
        return
    own = list(parameters)
    counted = torch.tensor([float(parameter.grad is not None) for parameter in own], device=own[0].device)
    for parameter, count in zip(own, summed(counted).tolist(), strict=True):
        if count:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            summed(parameter.grad)


def agreed(value: float, device: torch.device) -> float:
    """Process 0's value in every process, so that rounding never parts their ways."""
    if size() == 1:
        return value
    tensor = torch.tensor(value, dtype=torch.float64, device=device)
    distributed.broadcast(tensor, 0)
    return float(tensor)
