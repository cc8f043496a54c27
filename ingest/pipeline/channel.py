"""A bounded queue between two stages that knows how full it has been, so that the run can name what holds
it back."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Generic, TypeVar

T = TypeVar("T")


class AbortedError(Exception):
    """Another stage has failed; whoever waits on a channel lets go."""


class Channel(Generic[T]):
    """Holds at most `count` items and about `weight` bytes; writers wait, and that is the back-pressure.

    Readers wait one behind the other, and the first is woken when there is what it waits for: a thread that
    wakes for each item, and finds that it has to go on waiting, costs more than what it does with the item.
    """

    def __init__(self, count: int, weight: int = 1 << 25, weigh: Callable[[T], int] = lambda _: 0) -> None:
        self._count = count
        self._weight = weight
        self._weigh = weigh
        self._items: deque[tuple[T, int]] = deque()
        self._held = 0
        self._writers = 0
        self._aborted = False
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._enough = threading.Condition(self._lock)
        self._needed: list[int] = []  # how many items each reader waits for that is woken
        self._full_seconds = 0.0
        self._since = time.monotonic()

    def opened(self, writers: int) -> None:
        """Expect so many more writers; the channel ends when each has called `close`."""
        self._writers += writers

    def put(self, item: T) -> None:
        self.put_all((item,))

    def put_all(self, items: Iterable[T]) -> None:
        """Add items in their order, with one wake-up of the reader for all that find room at once."""
        weighed = [(item, self._weigh(item)) for item in items]
        with self._lock:
            self._check()
            self._clock()
            for item, weight in weighed:
                # One item always fits, however heavy it is.
                while self._items and (len(self._items) >= self._count or self._held + weight > self._weight):
                    self._wake()
                    self._room.wait()
                    self._check()
                    self._clock()
                self._items.append((item, weight))
                self._held += weight
            self._wake()

    def get(self, most: int, linger: float = 0.0, *, wait: bool = True) -> list[T]:
        """Up to `most` items: waits for the first, then at most `linger` seconds for more.

        Empty means the end, or, without `wait`, that nothing came within `linger`.
        """
        # One without `wait` has work of its own to go on with, and does not stand behind the others.
        with self._turn if wait else nullcontext(), self._lock:
            self._await(most, linger, wait)
            # Another reader may have taken what this one lingered for; that is not the end.
            while wait and not self._items and self._writers:
                self._await(most, linger, wait)
            self._check()
            self._clock()
            taken = [self._items.popleft() for _ in range(min(most, len(self._items)))]
            self._held -= sum(weight for _, weight in taken)
            self._room.notify_all()
            return [item for item, _ in taken]

    def _await(self, most: int, linger: float, wait: bool) -> None:
        """With the lock: wait for the first item, then for more of them."""
        while wait and not self._items and self._writers:
            self._check()
            self._sleep(1)
        deadline = time.monotonic() + linger
        enough = min(most, self._count)
        while len(self._items) < enough and self._writers and not self._crowded():
            self._check()
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self._sleep(enough, left)

    def _sleep(self, needed: int, seconds: float | None = None) -> None:
        self._needed.append(needed)
        self._enough.wait(seconds)
        self._needed.remove(needed)

    def _wake(self) -> None:
        """With the lock: readers, when one of them need not wait any more."""
        if self._needed and (len(self._items) >= min(self._needed) or self._crowded()):
            self._enough.notify_all()

    def close(self) -> None:
        """One writer is done."""
        with self._lock:
            self._writers -= 1
            self._enough.notify_all()

    def abort(self) -> None:
        with self._lock:
            self._aborted = True
            self._enough.notify_all()
            self._room.notify_all()

    def full_seconds(self) -> float:
        """For how long the channel has been at least half full: the stage behind it could not keep up."""
        with self._lock:
            self._clock()
            return self._full_seconds

    def _crowded(self) -> bool:
        return 2 * len(self._items) >= self._count or 2 * self._held >= self._weight

    def _clock(self) -> None:
        now = time.monotonic()
        if self._crowded():
            self._full_seconds += now - self._since
        self._since = now

    def _check(self) -> None:
        if self._aborted:
            raise AbortedError
