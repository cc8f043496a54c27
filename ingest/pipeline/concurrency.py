"""How many requests may be under way at once: one more while that helps, half as many on trouble."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

WORTH_IT = 1.03  # gain in the rate for which one request more is kept


class ConcurrencyLimit:
    """Additive increase, multiplicative decrease, judged by the clock.

    A round is as many answers as may be under way. Answers come at the rate `limit / time of one`; one
    request more stays as long as the rate gains by it, and goes again when the requests only wait longer
    in the server.
    """

    def __init__(self, start: int = 2, most: int = 16) -> None:
        self.limit = start
        self.most = most
        self.under_way = 0
        self._rates: dict[int, float] = {}
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
                # One place, one that waits for it; waking them all costs more than the place.
                self._changed.notify()

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
            rate = self.limit / max(recent, 1e-9)
            # Half old, half new: one slow answer decides nothing, and what was true long ago
            # is soon forgotten.
            rate = self._rates[self.limit] = (self._rates.get(self.limit, rate) + rate) / 2
            if rate >= WORTH_IT * self._rates.get(self.limit - 1, 0.0):
                self.limit = min(self.most, self.limit + 1)
                self._changed.notify_all()
            else:
                self.limit -= 1
