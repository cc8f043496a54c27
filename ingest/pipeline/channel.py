"""A bounded queue between two stages. It measures how full it is, to identify the bottleneck of a run."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Generic, TypeVar

T = TypeVar("T")


class AbortedError(Exception):
    """Another stage has failed. Raised in all threads that wait on a channel."""


class Channel(Generic[T]):
    """A queue of at most `count` items and about `weight` bytes. Writers block when it is full
    (backpressure).

    Readers wait in order, and only the first is woken, when its condition is met. Waking a thread per item
    would cost more than processing the item.
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
        """Register this many more writers. The channel ends when each has called `close`."""
        self._writers += writers

    def put(self, item: T) -> None:
        self.put_all((item,))

    def put_all(self, items: Iterable[T]) -> None:
        """Add items in order. The reader is woken once for all items that fit at the same time."""
        weighed = [(item, self._weigh(item)) for item in items]
        with self._lock:
            self._check()
            self._clock()
            for item, weight in weighed:
                # An empty channel accepts one item of any weight.
                while self._items and (len(self._items) >= self._count or self._held + weight > self._weight):
                    self._wake()
                    self._room.wait()
                    self._check()
                    self._clock()
                self._items.append((item, weight))
                self._held += weight
            self._wake()

    def get(self, most: int, linger: float = 0.0, *, wait: bool = True) -> list[T]:
        """Return up to `most` items: wait for the first, then at most `linger` seconds for more.

        An empty list means the end, or, with `wait=False`, that nothing arrived within `linger`.
        """
        # A reader with `wait=False` has other work to do and does not queue behind the others.
        with self._turn if wait else nullcontext(), self._lock:
            self._await(most, linger, wait)
            # Another reader may have taken the items meanwhile; this is not the end of the channel.
            while wait and not self._items and self._writers:
                self._await(most, linger, wait)
            self._check()
            self._clock()
            taken = [self._items.popleft() for _ in range(min(most, len(self._items)))]
            self._held -= sum(weight for _, weight in taken)
            self._room.notify_all()
            return [item for item, _ in taken]

    def _await(self, most: int, linger: float, wait: bool) -> None:
        """Wait for the first item, then for more. The caller holds the lock."""
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
        """Wake the first reader if its condition is met. The caller holds the lock."""
        if self._needed and (len(self._items) >= min(self._needed) or self._crowded()):
            self._enough.notify_all()

    def close(self) -> None:
        """Unregister one writer."""
        with self._lock:
            self._writers -= 1
            self._enough.notify_all()

    def abort(self) -> None:
        with self._lock:
            self._aborted = True
            self._enough.notify_all()
            self._room.notify_all()

    def full_seconds(self) -> float:
        """Return how long the channel has been at least half full, in seconds: the time the next stage could
        not keep up.
        """
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
