"""The one retry: waiting for a server that is away, visibly, for a limited time, with the way to go on at the
end."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from mmsearch.errors import AwayError, UnreachableError

T = TypeVar("T")
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.5


class Backoff:
    """Pauses that double from `first` to `longest` seconds, each shortened by chance by up to a half."""

    def __init__(self, first: float, longest: float) -> None:
        self.first = first
        self.longest = longest
        self.next = first
        """seconds"""

    def reset(self) -> None:
        """Begin again with the first pause, since something went well."""
        self.next = self.first

    def wait(self, stopped: threading.Event) -> None:
        """Wait for the next pause, or until `stopped` is set."""
        stopped.wait(self.next * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
        self.next = min(self.next * 2, self.longest)


class Patience:
    """Repeats a call while its server is away, up to `limit` seconds without any success.

    `say` gets one line when a server goes away and one when it is back; `resume` is the command that
    goes on later.
    """

    def __init__(
        self,
        limit: float,
        say: Callable[[str], None],
        resume: str = "",
        stopped: threading.Event | None = None,
    ) -> None:
        self.limit = limit
        self.go_on = f"; what is in stays in, go on with: {resume}" if resume else ""
        self._say = say
        self._stopped = stopped or threading.Event()
        self._since: dict[str, float] = {}
        self._lock = threading.Lock()

    def call(self, attempt: Callable[[], T]) -> T:
        """The result of `attempt`; its errors pass through, but for AwayError.

        Raises UnreachableError when the limit has passed.
        """
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        away_here: set[str] = set()
        while True:
            try:
                result = attempt()
            except AwayError as away:
                away_here.add(away.server)
                self._away(away)
                backoff.wait(self._stopped)
            else:
                # That one server answers says nothing about another.
                self._back(away_here)
                return result

    def _away(self, away: AwayError) -> None:
        now = time.monotonic()
        with self._lock:
            first = away.server not in self._since
            since = self._since.setdefault(away.server, now)
        if self._stopped.is_set() or now - since >= self.limit:
            raise UnreachableError(
                f"expected {away.server} to answer within {self.limit:.0f} s, got {away.why}{self.go_on}"
            ) from None
        if first and self.limit:
            self._say(f"{away.server} is away ({away.why}); waiting up to {self.limit:.0f} s")

    def _back(self, servers: set[str]) -> None:
        now = time.monotonic()
        for server in servers:
            with self._lock:
                since = self._since.pop(server, None)
            if since is not None:
                self._say(f"{server} answers again after {now - since:.1f} s")
