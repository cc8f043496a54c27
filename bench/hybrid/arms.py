"""The arms of bench hybrid: the index, what each arm asks, a lone client and many."""

from __future__ import annotations

import json
import multiprocessing
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import numpy as np
from measuring.real_node import Client, Processor, median_ms

from mmsearch.search.clauses import ALONE, ClauseNames

DIMENSION = 384
WINDOW = 100
CLIENTS = 8
CATEGORIES = 37
FACET = {"categories": {"terms": {"field": "category", "size": 10}}}
PIPELINE = "bench-official"
"""the official hybrid's fusion, as ours is by default"""
WORDS = [f"word{number}" for number in range(2000)]


def create(client: Client, index: str, shards: int, dimension: int, **graph: int) -> None:
    """An empty index of titles and vectors in place of what has its name; `graph` are HNSW's parameters."""
    client.connection.request("DELETE", f"/{index}")
    client.connection.getresponse().read()
    mapping = {
        "settings": {
            "index": {
                "knn": True,
                "knn.derived_source.enabled": False,
                "number_of_shards": shards,
                "number_of_replicas": 0,
                "refresh_interval": -1,
            }
        },
        "mappings": {
            "properties": {
                "title": {"type": "text"},
                "category": {"type": "keyword"},
                "embedding": {
                    "type": "knn_vector",
                    "dimension": dimension,
                    "space_type": "cosinesimil",
                    "method": {"name": "hnsw", "engine": "lucene", "parameters": graph},
                },
            }
        },
    }
    client.call("PUT", f"/{index}", json.dumps(mapping).encode())


def build(client: Client, index: str, documents: int, shards: int) -> None:
    """The index: titles of six words, one of CATEGORIES, random unit vectors, one segment a shard."""
    create(client, index, shards, DIMENSION)
    draw = np.random.default_rng(1)
    for start in range(0, documents, 500):
        rows = draw.standard_normal((min(500, documents - start), DIMENSION)).astype(np.float32)
        lines = []
        for number, row in enumerate(rows, start):
            vector = ",".join(f"{value:.4f}" for value in row)
            lines.append(
                f'{{"index":{{"_id":"{number}"}}}}\n'
                f'{{"title":"{title(draw)}","category":"{number % CATEGORIES}","embedding":[{vector}]}}'
            )
        client.call("POST", f"/{index}/_bulk", ("\n".join(lines) + "\n").encode())
    client.connection.close()
    client.connection.timeout = 900
    client.connection.connect()
    client.call("POST", f"/{index}/_forcemerge?max_num_segments=1")
    client.call("POST", f"/{index}/_refresh")


def title(draw: np.random.Generator, words: int = 6) -> str:
    """Words by Zipf's law, as names of products repeat."""
    return " ".join(WORDS[rank] for rank in np.minimum(draw.zipf(1.3, words) - 1, len(WORDS) - 1))


@dataclass(frozen=True)
class Arm:
    """What is asked: `kind` is match, knn, bool, hybrid (ours) or official; a `facet` is counted too."""

    kind: str
    window: int = WINDOW
    facet: bool = False
    names: ClauseNames = ALONE

    def parameters(self) -> str:
        """Those of the request's address."""
        return f"?search_pipeline={PIPELINE}" if self.kind == "official" else ""

    def bodies(self, count: int, seed: int) -> list[bytes]:
        """Searches; the same seed gives every arm the same words and vectors."""
        return queries(
            self.kind, count, seed, k=self.window, window=self.window, facet=self.facet, names=self.names
        )


def queries(
    kind: str,
    count: int,
    seed: int,
    words: int = 3,
    dimension: int = DIMENSION,
    k: int = WINDOW,
    window: int = WINDOW,
    facet: bool = False,
    names: ClauseNames = ALONE,
) -> list[bytes]:
    """Bodies of one arm over the legs `match` and `knn`; `names` are those of our clauses on the node."""
    draw = np.random.default_rng(seed)
    bodies = []
    for _ in range(count):
        match = {"match": {"title": title(draw, words)}}
        knn = {"knn": {"embedding": {"vector": draw.standard_normal(dimension).round(4).tolist(), "k": k}}}
        fused = {"queries": [match, knn], "pagination_depth": window}
        query: dict[str, object] = {
            "match": match,
            "knn": knn,
            "bool": {"bool": {"should": [match, knn]}},
            "hybrid": {names.hybrid: fused},
            "official": {"hybrid": fused},
        }[kind]
        body: dict[str, object] = {"size": 10, "_source": ["title"], "query": query}
        bodies.append(json.dumps(body | {"aggs": FACET} if facet else body).encode())
    return bodies


def fuse_officially(client: Client) -> None:
    """The search pipeline without which the official hybrid adds up raw scores."""
    fusion = {"normalization": {"technique": "min_max"}, "combination": {"technique": "arithmetic_mean"}}
    pipeline = {"phase_results_processors": [{"normalization-processor": fusion}]}
    client.call("PUT", f"/_search/pipeline/{PIPELINE}", json.dumps(pipeline).encode())


class Wire:
    """A client that costs next to nothing: requests are whole before the clock starts."""

    def __init__(self, url: str, index: str, parameters: str = "") -> None:
        parts = urlsplit(url)
        self.path = f"/{index}/_search{parameters}"
        self.socket = socket.create_connection((str(parts.hostname), parts.port or 80), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self, body: bytes) -> bytes:
        head = f"POST {self.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def call(self, request: bytes) -> None:
        self.socket.sendall(request)
        answer = self.socket.recv(65536)
        while b"\r\n\r\n" not in answer:
            answer += self.socket.recv(65536)
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"expected 200, got {answer[:600]!r}")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        have = len(body)
        while have < length:
            have += len(self.socket.recv(65536))


def latency(url: str, index: str, bodies: Callable[[int], list[bytes]]) -> Callable[[], float]:
    """An arm: the median time of one query of a lone client, milliseconds; `bodies` are those of a seed."""
    wire = Wire(url, index)
    seeds = iter(range(1, 10**9))

    def run() -> float:
        requests = [wire.request(body) for body in bodies(next(seeds))]
        return median_ms([partial(wire.call, request) for request in requests])

    return run


class Lone:
    """A lone client of one arm, which asks the nodes in turn."""

    def __init__(self, urls: Sequence[str], index: str, arm: Arm) -> None:
        self.arm = arm
        self.wires = [Wire(url, index, arm.parameters()) for url in urls]

    def calls(self, count: int, seed: int) -> list[Callable[[], object]]:
        """Searches to be timed, whole but for the sending."""
        found: list[Callable[[], object]] = []
        for number, body in enumerate(self.arm.bodies(count, seed)):
            wire = self.wires[number % len(self.wires)]
            found.append(partial(wire.call, wire.request(body)))
        return found


def member(url: str, index: str, arm: Arm, count: int, seed: int, start: object, ends: object) -> None:
    """One of many clients: ready, waits for the others, asks."""
    wire = Wire(url, index, arm.parameters())
    requests = [wire.request(body) for body in arm.bodies(count, seed)]
    start.wait()  # type: ignore[attr-defined]
    begin = time.perf_counter()
    for request in requests:
        wire.call(request)
    ends.put((begin, time.perf_counter()))  # type: ignore[attr-defined]


class Crowd:
    """CLIENTS clients of one arm at once, spread over the nodes; `costs` is what each run cost the nodes."""

    def __init__(self, urls: Sequence[str], index: str, arm: Arm, count: int) -> None:
        self.urls, self.index, self.arm, self.count = urls, index, arm, count
        self.processor = Processor(urls)
        self.costs: list[float] = []
        """processor time a query, ms, all nodes together"""

    def __call__(self) -> float:
        """Queries a second of all clients together."""
        start = multiprocessing.Barrier(CLIENTS + 1)
        ends: multiprocessing.Queue[tuple[float, float]] = multiprocessing.Queue()
        clients = [
            multiprocessing.Process(
                target=member,
                args=(
                    self.urls[seed % len(self.urls)], self.index, self.arm, self.count, seed, start, ends
                ),
            )
            for seed in range(CLIENTS)
        ]  # fmt: skip
        for each in clients:
            each.start()
        before = self.processor.ms()
        start.wait(timeout=300)
        spans = [ends.get(timeout=300) for _ in clients]
        asked = CLIENTS * self.count
        self.costs.append((self.processor.ms() - before) / asked)
        for each in clients:
            each.join()
        return asked / (max(end for _, end in spans) - min(begin for begin, _ in spans))
