"""Trainings that do not wait for each other: one process a core, one torch thread each.

A fusion's step is hundreds of small kernels, which two threads of one process compute hardly faster than
one, while two processes do not wait for each other. With one thread everywhere the numbers do not depend on
how many processes there are.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import torch

Job = TypeVar("Job")
Result = TypeVar("Result")


def side_by_side(
    work: Callable[[Job], Result], jobs: Sequence[Job], processes: int | None = None
) -> list[Result]:
    """`work` of each job, in the jobs' order; by default in as many processes as there are cores.

    `work`, the jobs and the results are pickled: functions by their module's name. With one process, or
    one job, everything happens in this one. What `work` raises is raised here.
    """
    count = min(processes or os.cpu_count() or 1, len(jobs))
    if count <= 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return [work(job) for job in jobs]
        finally:
            torch.set_num_threads(threads)
    # Spawned, not forked: a fork copies torch's and onnxruntime's locks, but not the threads that hold them.
    with ProcessPoolExecutor(
        count, multiprocessing.get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        return list(pool.map(work, jobs))
