"""No thread that takes requests waits for the encoder: thread dumps of a real node under 200 clients."""

from __future__ import annotations

import itertools
import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mmsearch.stack import embedded
from mmsearch.stack.account import unprivileged
from mmsearch.stack.java import choose
from mmsearch.stack.state import Home

from ..fakes.asking import ask
from ..fakes.small_vectors import make_index
from ..fakes.stub_encoder import StubEncoder
from ..fakes.thread_dump import JavaThread, threads_of

pytestmark = [pytest.mark.integration, pytest.mark.slow]
CLIENTS = 200
DELAY = 0.1
"""seconds that the encoder takes for each text"""
DUMPS = 40
POOLS = ("transport_worker", "http_server_worker", "transport_client_boss")
"""threads that take requests; HTTP and the transport share the first unless a setting parts them"""
FIELD = {"embedding": {"query_text": "TEXT", "k": 10}}
BODIES: list[dict[str, Any]] = [
    {"query": {"neural": FIELD}},
    {"query": {"hybrid": {"queries": [{"match": {"title": "chair"}}, {"neural": FIELD}]}}},
    {"query": {"bool": {"must": [{"neural": FIELD}], "filter": {"range": {"number": {"gte": 5}}}}}},
    {"query": {"neural": FIELD}, "sort": ["number"], "aggs": {"n": {"max": {"field": "number"}}}},
]


@dataclass(frozen=True)
class Node:
    """A node of one shard whose encoder is the test's."""

    url: str
    pid: int
    java: Path
    encoder: StubEncoder

    def threads(self) -> list[JavaThread]:
        return threads_of(self.java, self.pid)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    home = Home.at(tmp_path_factory.mktemp("waiting") / "home")
    with StubEncoder() as encoder:
        settings = {
            "mmsearch.triton.endpoints": [encoder.url],
            "mmsearch.triton.max_in_flight": CLIENTS,
            "mmsearch.triton.timeout": "30s",
        }
        with embedded.borrowed(home, ("opensearch",), settings=settings) as ports:
            url = f"http://127.0.0.1:{ports.http}"
            make_index(url, "shop", 500, number_of_shards=2)
            (process,) = ask(url, "GET", "/_nodes/_local/process")["nodes"].values()
            yield Node(url, process["process"]["id"], choose(unprivileged()).home, encoder)


class Crowd:
    """Clients that each ask one search after the other while the block runs; `statuses` are the answers'."""

    def __init__(self, node: Node, rounds: int | None) -> None:
        self.statuses: Counter[int] = Counter()
        self._node = node
        self._rounds = rounds
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(CLIENTS)

    def __enter__(self) -> Crowd:
        self._clients = [self._pool.submit(self._run, number) for number in range(CLIENTS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._node.encoder.answering.set()
        self._over.set()
        self._pool.shutdown(wait=True)

    def finish(self) -> None:
        """Wait for the clients. Raises what stopped one of them."""
        self._over.set()
        for client in self._clients:
            client.result(timeout=120)

    def _run(self, client: int) -> None:
        for number in itertools.count() if self._rounds is None else range(self._rounds):
            # A letter more is another text and another vector: nothing is in the cache, nothing is shared.
            text = f"{client} {number} {time.monotonic_ns()}"
            body = json.dumps(BODIES[client % len(BODIES)]).replace("TEXT", text)
            request = urllib.request.Request(
                f"{self._node.url}/shop/_search", body.encode(), {"Content-Type": "application/json"}
            )
            try:
                with urllib.request.urlopen(request, timeout=120) as answer:
                    answer.read()
                    self.statuses[answer.status] += 1
            except urllib.error.HTTPError as refused:
                self.statuses[refused.code] += 1
            if self._over.is_set():
                return


@contextmanager
def crowd(node: Node, rounds: int | None = None) -> Iterator[Crowd]:
    with Crowd(node, rounds) as made:
        yield made


def taking_requests(threads: list[JavaThread]) -> list[JavaThread]:
    found = [thread for thread in threads if any(f"[{pool}]" in thread.name for pool in POOLS)]
    assert found, sorted(thread.name for thread in threads)
    return found


def test_while_all_wait_for_the_encoder_no_thread_that_takes_requests_is_in_our_code(node: Node) -> None:
    node.encoder.answering.clear()
    with crowd(node, rounds=1) as clients:
        late = time.monotonic() + 20
        while node.encoder.waiting < CLIENTS and time.monotonic() < late:
            time.sleep(0.1)
        threads = node.threads()
        inside = [thread for thread in taking_requests(threads) if thread.in_ours]
        assert not inside, inside
        assert node.encoder.waiting == CLIENTS
        # Of all the node's threads, the one that reads the encoder's answers alone waits in our code.
        waiting = [thread for thread in threads if thread.in_ours and thread.waits]
        assert [thread.name for thread in waiting] == ["requester-dispatch-1"], waiting
        node.encoder.answering.set()
        clients.finish()
        assert clients.statuses == {200: CLIENTS}


def test_under_load_no_thread_waits_in_our_code(node: Node) -> None:
    node.encoder.delay = DELAY
    try:
        with crowd(node) as clients:
            time.sleep(2)
            dumps = [taking_requests(node.threads()) for _ in range(DUMPS)]
            clients.finish()
    finally:
        node.encoder.delay = 0.0
    inside = [thread for threads in dumps for thread in threads if thread.in_ours]
    locks = [thread for thread in inside if thread.waits_for_lock]
    waiting = [thread for thread in inside if thread.waits and thread not in locks]
    print(
        f"\n{clients.statuses.total()} answers; of {sum(map(len, dumps))} threads in {DUMPS} dumps "
        f"{len(inside)} were in our code, {len(locks)} at a lock, {len(waiting)} waiting"
    )
    assert not waiting, waiting[:3]
    # A lock is held for moments, and seldom met; one that is held during a call is met in most dumps.
    assert len(locks) <= DUMPS // 4, locks[:3]
    assert set(clients.statuses) == {200}
    assert clients.statuses.total() > 2 * CLIENTS
