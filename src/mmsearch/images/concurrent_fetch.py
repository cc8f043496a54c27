"""Concurrent image downloads, with limits in total and per host, and a circuit breaker for hosts that do not
respond.
"""

from __future__ import annotations

import queue
import threading
import time
import urllib.parse
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from mmsearch.errors import MmsearchError, PictureError
from mmsearch.images.urls import cleaned

AT_ONCE = 32
A_HOST = 6
FAILURES = 5  # in a row, after which a host rests
REST_SECONDS = 60.0
Fetched = Future[Path]


class _Host:
    def __init__(self, name: str) -> None:
        self.name = name
        self.running = 0
        self.waiting: deque[tuple[str, Fetched]] = deque()
        self.failures = 0
        self.rests_until = 0.0


class ConcurrentFetch:
    """Starts downloads and returns a future for each. A URL in progress is not downloaded twice."""

    def __init__(self, fetch: Callable[[str], Path], at_once: int = AT_ONCE, a_host: int = A_HOST) -> None:
        self._fetch = fetch
        self._a_host = a_host
        self._at_once = at_once
        self._workers = 0
        self._idle = 0
        self._tasks: queue.SimpleQueue[tuple[_Host, str, Fetched] | None] = queue.SimpleQueue()
        self._hosts: dict[str, _Host] = {}
        self._running: dict[str, Fetched] = {}
        self._lock = threading.Lock()

    def start(self, urls: Sequence[str]) -> list[Fetched]:
        return [self._start(url) for url in urls]

    def close(self) -> None:
        """Start no more downloads. Running ones are not awaited; their threads end with the process."""
        with self._lock:
            waiting = [future for host in self._hosts.values() for _, future in host.waiting]
            for host in self._hosts.values():
                host.waiting.clear()
            workers = self._workers
        for future in waiting:
            future.cancel()
        for _ in range(workers):
            self._tasks.put(None)

    def _start(self, url: str) -> Fetched:
        with self._lock:
            under_way = self._running.get(url)
            if under_way is not None:
                return under_way
            future: Fetched = Future()
            self._running[url] = future
            host = self._hosts.setdefault(_host(url), _Host(ascii(_host(url))))
            host.waiting.append((url, future))
            self._next(host)
        return future

    def _next(self, host: _Host) -> None:
        """Submit URLs of a host up to its limit. The caller holds the lock."""
        while host.waiting and host.running < self._a_host:
            url, future = host.waiting.popleft()
            host.running += 1
            self._tasks.put((host, url, future))
            if self._idle < self._tasks.qsize() and self._workers < self._at_once:
                self._workers += 1
                # Not a ThreadPoolExecutor, because Python joins its threads at exit.
                threading.Thread(target=self._work, name=f"fetch-{self._workers}", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            task = self._tasks.get()
            with self._lock:
                self._idle -= 1
            if task is None:
                return
            self._run(*task)

    def _run(self, host: _Host, url: str, future: Fetched) -> None:
        try:
            if time.monotonic() < host.rests_until:
                raise PictureError(
                    "host_away",
                    f"expected {host.name} to answer, got {FAILURES} failures in a row; run again later",
                )
            path = self._fetch(url)
        except BaseException as error:
            away = isinstance(error, PictureError) and error.reason in ("host_away", "host_unknown")
            self._ended(host, url, away=away)
            future.set_exception(_of_the_picture(error))
        else:
            self._ended(host, url, away=False)
            future.set_result(path)

    def _ended(self, host: _Host, url: str, *, away: bool) -> None:
        with self._lock:
            host.running -= 1
            self._running.pop(url, None)
            host.failures = host.failures + 1 if away else 0
            if host.failures >= FAILURES:
                host.failures = 0
                host.rests_until = max(host.rests_until, time.monotonic() + REST_SECONDS)
            self._next(host)


def _of_the_picture(error: BaseException) -> BaseException:
    """Treat any invalid response of a host as an error of that image. Internal errors end the run."""
    if isinstance(error, PictureError | MmsearchError) or not isinstance(error, Exception):
        return error
    return PictureError(
        "fetch_failed",
        f"expected a picture, got {type(error).__name__} while fetching it: {str(error)[:120]}",
    )


def _host(url: str) -> str:
    try:
        return urllib.parse.urlsplit(cleaned(url)).netloc.lower()
    except ValueError:  # brackets that do not match; the fetch will say so
        return ""
