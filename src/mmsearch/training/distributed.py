"""Distributed data-parallel training: each process encodes its slices of the batch; the loss is over the
whole batch.

Settings come from the environment set by `torchrun`; without it there is one process.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn


def rank() -> int:
    """Return the rank of this process, 0 if there is only one."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def size() -> int:
    """Return the number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def device(cuda: bool, environment: Mapping[str, str]) -> torch.device:
    """Return the process's own GPU if torch finds one, else the CPU."""
    return torch.device("cuda", int(environment.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")


@contextmanager
def group() -> Iterator[None]:
    """Join the process group of torchrun while the block runs. A single process joins none."""
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
    """Run the block in process 0 before the others, so that they find the files it writes."""
    if size() > 1 and rank() > 0:
        distributed.barrier()
    yield
    if size() > 1 and rank() == 0:
        distributed.barrier()


def summed(tensor: Tensor) -> Tensor:
    """Sum over all processes, in place."""
    if size() > 1:
        distributed.all_reduce(tensor)
    return tensor


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Sum each parameter's gradient over the processes. A gradient that is None in all of them stays None."""
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
    """Return the value of process 0 in every process, so that rounding errors cannot make them diverge."""
    if size() == 1:
        return value
    tensor = torch.tensor(value, dtype=torch.float64, device=device)
    distributed.broadcast(tensor, 0)
    return float(tensor)
