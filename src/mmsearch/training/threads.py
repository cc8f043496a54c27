"""How many torch threads a training takes on a processor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

GAIN = 0.9
"""time of a step, as a share of that with half as many threads, up to which more threads help"""


@contextmanager
def kept() -> Iterator[None]:
    """Context manager: the process has its number of threads again afterwards."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def take_fastest(step: Callable[[], object]) -> int:
    """Set the number of torch threads with which `step` takes least time, and return it: 1, 2, 4 … up to the
    number that torch has now.

    On cores that others use too, threads wait for each other, and more of them can be many times slower. So
    the number is doubled only while that helps.
    """
    most = torch.get_num_threads()
    torch.set_num_threads(1)
    if most == 1:
        return 1
    step()  # the first one also allocates
    count, took = 1, _seconds(step)
    while count < most:
        more = min(2 * count, most)
        torch.set_num_threads(more)
        now = _seconds(step)
        if now > GAIN * took:
            break
        count, took = more, now
    torch.set_num_threads(count)
    return count


def _seconds(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began
