"""Searches at a steady rate while something else happens, each answer kept for judging afterwards."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

Ask = Callable[[str], Any]


@dataclass
class Traffic:
    """Asks the texts in turn, `rate` a second whether answers come or not; a context manager.

    answers   (text, answer), in the order of their coming
    failures  what went wrong, in words
    """

    ask: Ask
    texts: Sequence[str]
    rate: float
    answers: list[tuple[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __enter__(self) -> Traffic:
        self._over = threading.Event()
        self._under_way: dict[int, float] = {}
        self._askers = ThreadPoolExecutor(32, thread_name_prefix="shopper")
        self._clock = threading.Thread(target=self._run, name="traffic")
        self.started = time.monotonic()
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._clock.join()
        self._askers.shutdown(wait=True)

    @property
    def asked_per_second(self) -> float:
        """Answers and failures a second since the beginning."""
        return (len(self.answers) + len(self.failures)) / (time.monotonic() - self.started)

    def more(self, count: int, within: float = 120.0) -> None:
        """Wait for `count` more answers, and for everything that is under way now."""
        enough, now, late = len(self.answers) + count, time.monotonic(), time.monotonic() + within
        while len(self.answers) < enough or any(began <= now for began in self._under_way.copy().values()):
            if time.monotonic() > late:
                raise TimeoutError(f"expected {count} answers within {within} s; {self.failures[-3:]}")
            time.sleep(0.02)

    def _run(self) -> None:
        done: list[Future[None]] = []
        for number, text in enumerate(itertools.cycle(self.texts)):
            if self._over.wait(max(0.0, self.started + number / self.rate - time.monotonic())):
                return
            done.append(self._askers.submit(self._one, number, text))

    def _one(self, number: int, text: str) -> None:
        self._under_way[number] = time.monotonic()
        try:
            self.answers.append((text, self.ask(text)))
        except Exception as error:
            self.failures.append(f"{text!r}: {type(error).__name__} {error}")
        finally:
            del self._under_way[number]
