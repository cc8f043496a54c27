"""Retries for an unreachable server: visible, limited in time, and ending with the command to continue."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from tenacity import Retrying, retry_if_exception, sleep_using_event

from mmsearch.errors import AwayError, UnreachableError

T = TypeVar("T")
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.5


def pauses(first: float, longest: float) -> Iterator[float]:
    """Yield pauses in seconds: exponential backoff from `first` to `longest`, with random jitter of up to
    half.
    """
    while True:
        yield first * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
        first = min(first * 2, longest)


class Patience:
    """Repeats a call while its server is unreachable, for at most `limit` seconds without a success.

    `say` receives one message when a server becomes unreachable and one when it returns. `resume` is the
    command that continues later.
    """

    def __init__(
        self,
        limit: float,
        say: Callable[[str], None],
        resume: str = "",
        stopped: threading.Event | None = None,
    ) -> None:
        self.limit = limit
        self.go_on = f"; indexed products remain, continue with: {resume}" if resume else ""
        self._say = say
        self._stopped = stopped or threading.Event()
        self._since: dict[str, float] = {}
        self._lock = threading.Lock()

    def call(self, attempt: Callable[[], T]) -> T:
        """Return the result of `attempt`. All its errors except AwayError are passed on.

        Raise UnreachableError when the limit has passed.
        """
        waits = pauses(FIRST_PAUSE, LONGEST_PAUSE)
        away_here: set[str] = set()

        def is_away(error: BaseException) -> bool:
            if isinstance(error, AwayError):
                away_here.add(error.server)
                self._away(error)
            return isinstance(error, AwayError)

        result = Retrying(
            retry=retry_if_exception(is_away),
            wait=lambda _: next(waits),
            sleep=sleep_using_event(self._stopped),
        )(attempt)
        # Each server has its own timer: the response of one says nothing about another.
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
            self._say(f"{away.server} does not respond ({away.why}); waiting up to {self.limit:.0f} s")

    def _back(self, servers: set[str]) -> None:
        now = time.monotonic()
        for server in servers:
            with self._lock:
                since = self._since.pop(server, None)
            if since is not None:
                self._say(f"{server} responds again after {now - since:.1f} s")
