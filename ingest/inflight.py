"""How many requests may be under way at once: one more while that helps, half as many on trouble."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class InFlight:
    """Additive increase, multiplicative decrease, judged by the clock.

    A round is as many answers as may be under way. By Little's law `limit * (1 - best / recent)` of the
    requests stood in the server's queue; below one there is room for another request, above two and a half
    one less is enough.
    """

    def __init__(self, start: int = 2, most: int = 16) -> None:
        self.limit = start
        self.most = most
        self.under_way = 0
        self._best = float("inf")
        self._round: list[float] = []
        self._changed = threading.Condition()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for room, then hold a place."""
        with self._changed:
            while self.under_way >= self.limit:
                self._changed.wait()
            self.under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self.under_way -= 1
                self._changed.notify_all()

    def trouble(self) -> None:
        """The server is overloaded or away: halve."""
        with self._changed:
            self.limit = max(1, self.limit // 2)
            self._round.clear()

    def learn(self, seconds: float) -> None:
        """A request of the usual size was answered in this time."""
        with self._changed:
            self._round.append(seconds)
            if len(self._round) < self.limit:
                return
            recent = sorted(self._round)[len(self._round) // 2]
            self._round.clear()
            # The best fades, so that a server that has become slower for good is not held to its youth.
            self._best = min(self._best * 1.01, recent)
            queued = self.limit * (1 - self._best / recent) if recent else 0.0
            if queued < 1 and self.limit < self.most:
                self.limit += 1
                self._changed.notify_all()
            elif queued > 2.5 and self.limit > 1:
                self.limit -= 1
