"""Adaptive limit of concurrent requests: one more while throughput improves, half after a failure."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

WORTH_IT = 1.03  # gain in the rate for which one request more is kept


class ConcurrencyLimit:
    """Additive increase, multiplicative decrease (AIMD), based on response times.

    A round consists of `limit` responses. Throughput is estimated as `limit / response time`. An additional
    request is kept if throughput increases, and withdrawn if requests only queue longer in the server.
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
        """Wait for a free slot and hold it."""
        with self._changed:
            while self.under_way >= self.limit:
                self._changed.wait()
            self.under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self.under_way -= 1
                # One slot is free, so one waiting thread is woken.
                self._changed.notify()

    def trouble(self) -> None:
        """Halve the limit: the server is overloaded or unreachable."""
        with self._changed:
            self.limit = max(1, self.limit // 2)
            self._round.clear()

    def learn(self, seconds: float) -> None:
        """Record the response time of a request of normal size."""
        with self._changed:
            self._round.append(seconds)
            if len(self._round) < self.limit:
                return
            recent = sorted(self._round)[len(self._round) // 2]
            self._round.clear()
            rate = self.limit / max(recent, 1e-9)
            # Exponential moving average with weight 0.5: robust to one slow response, and old values fade
            # quickly.
            rate = self._rates[self.limit] = (self._rates.get(self.limit, rate) + rate) / 2
            if rate >= WORTH_IT * self._rates.get(self.limit - 1, 0.0):
                self.limit = min(self.most, self.limit + 1)
                self._changed.notify_all()
            else:
                self.limit -= 1
