"""Many clients at once, each a process of its own."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from typing import Any

from measuring.real_node import Processor

CLIENTS = 8
FORK = multiprocessing.get_context("fork")
Calls = Sequence[Callable[[], object]]


class Crowd:
    """An arm: calls a second of CLIENTS clients together. `costs` is what a call cost the nodes in each run.

    `calls` gives a client's calls for its number, which no client has twice; they are made before any starts.
    """

    def __init__(self, urls: Sequence[str], calls: Callable[[int], Calls]) -> None:
        self.calls = calls
        self.processor = Processor(urls)
        self.runs = 0
        self.costs: list[float] = []
        """processor time a call, ms, all nodes together"""

    def __call__(self) -> float:
        start, ends = FORK.Barrier(CLIENTS + 1), FORK.Queue()
        first = CLIENTS * self.runs
        clients = [
            FORK.Process(target=self._ask, args=(first + place, start, ends)) for place in range(CLIENTS)
        ]
        self.runs += 1
        for client in clients:
            client.start()
        start.wait(timeout=300)
        before = self.processor.ms()
        spans = [ends.get(timeout=300) for _ in clients]
        asked = sum(count for *_, count in spans)
        self.costs.append((self.processor.ms() - before) / asked)
        for client in clients:
            client.join()
        return float(asked / (max(end for _, end, _ in spans) - min(begin for begin, *_ in spans)))

    def _ask(self, number: int, start: Any, ends: Any) -> None:
        """One of the clients: ready, waits for the others, asks."""
        calls = self.calls(number)
        start.wait()
        begin = time.perf_counter()
        for call in calls:
            call()
        ends.put((begin, time.perf_counter(), len(calls)))


def costs(crowds: dict[str, Crowd]) -> dict[str, list[float]]:
    """What a call cost in each round, by arm: without the warm-up, and of the first arm's two runs a round
    one."""
    first = next(iter(crowds))
    return {arm: crowd.costs[:: 2 if arm == first else 1][1:] for arm, crowd in crowds.items()}
