"""A real node for benches: given by its URL, or started from the checkout's plugin zip and ended after."""

from __future__ import annotations

import http.client
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from mmsearch.stack import embedded
from mmsearch.stack.state import Home

HEADERS = {"Content-Type": "application/json"}


@contextmanager
def node(url: str | None) -> Iterator[str]:
    """The given node, or one of its own that is ended after."""
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory() as folder:
        home = Home.at(Path(folder) / "home")
        try:
            embedded.up(home, embedded.Wanted(servers=("opensearch",), http_port=0), say)
            ports = home.ports()
            assert ports is not None, "up has just written them"
            yield f"http://127.0.0.1:{ports.http}"
        finally:
            embedded.delete(home)


def say(line: str) -> None:
    """Progress goes beside the table."""
    print(line, file=sys.stderr)


class Client:
    """One connection, kept alive; `call` returns the answer's body."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> bytes:
        self.connection.request(method, path, body, headers or HEADERS)
        response = self.connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: expected success, got {response.status} {answer[:500]!r}")
        return answer


def median_ms(calls: list[Callable[[], object]]) -> float:
    """The median time of one call, milliseconds."""
    times = []
    for call in calls:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1000
