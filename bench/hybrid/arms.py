"""The arms of bench hybrid: the index, and what each arm asks."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import numpy as np
from measuring.index import Document, create, fill, vector
from measuring.real_node import Client

from mmsearch.search.clauses import ALONE, ClauseNames

DIMENSION = 384
WINDOW = 100
CATEGORIES = 37
FACET = {"categories": {"terms": {"field": "category", "size": 10}}}
PIPELINE = "bench-official"
"""the official hybrid's fusion, as ours is by default"""
BOUNDS = {"normalization": {"technique": "theoretical_min_max"}}
MIN_MAX = {"normalization": {"technique": "min_max"}, "combination": {"technique": "arithmetic_mean"}}
WORDS = [f"word{number}" for number in range(2000)]


def build(client: Client, index: str, documents: int, shards: int) -> None:
    """The index: titles of six words, one of CATEGORIES, random unit vectors, one segment a shard."""
    fields = {
        "title": {"type": "text"},
        "category": {"type": "keyword"},
        "embedding": vector(DIMENSION),
    }
    settings: dict[str, object] = {"knn.derived_source.enabled": False, "number_of_shards": shards}
    create(client, index, {"properties": fields}, **settings)
    draw = np.random.default_rng(1)

    def products() -> Iterator[Document]:
        for number in range(documents):
            drawn = draw.standard_normal(DIMENSION).astype(np.float32)
            category = str(number % CATEGORIES)
            yield str(number), {"title": title(draw), "category": category, "embedding": drawn}

    fill(client, index, products())


def title(draw: np.random.Generator, words: int = 6) -> str:
    """Words by Zipf's law, as names of products repeat."""
    return " ".join(WORDS[rank] for rank in np.minimum(draw.zipf(1.3, words) - 1, len(WORDS) - 1))


@dataclass(frozen=True)
class Arm:
    """What is asked over the legs `match` and `knn`: `kind` is one of them, bool, hybrid (ours), bounds
    (ours, with the bounds of scores) or official; a `facet` is counted too. `names` are those of our clauses
    on the node."""

    kind: str
    window: int = WINDOW
    facet: bool = False
    names: ClauseNames = ALONE
    words: int = 3
    dimension: int = DIMENSION
    k: int | None = None
    """of `knn`; else the window"""

    def parameters(self) -> str:
        """Those of the request's address."""
        return f"?search_pipeline={PIPELINE}" if self.kind == "official" else ""

    def bodies(self, count: int, seed: int) -> list[bytes]:
        """Searches; the same seed gives every arm the same words and vectors."""
        draw = np.random.default_rng(seed)
        bodies = []
        for _ in range(count):
            match = {"match": {"title": title(draw, self.words)}}
            drawn = draw.standard_normal(self.dimension).round(4).tolist()
            knn = {"knn": {"embedding": {"vector": drawn, "k": self.k or self.window}}}
            fused = {"queries": [match, knn], "pagination_depth": self.window}
            query: dict[str, object] = {
                "match": match,
                "knn": knn,
                "bool": {"bool": {"should": [match, knn]}},
                "hybrid": {self.names.hybrid: fused},
                "bounds": {self.names.hybrid: {**fused, "fusion": BOUNDS}},
                "official": {"hybrid": fused},
            }[self.kind]
            body: dict[str, object] = {"size": 10, "_source": ["title"], "query": query}
            bodies.append(json.dumps(body | {"aggs": FACET} if self.facet else body).encode())
        return bodies


def fuse_officially(client: Client) -> None:
    """The search pipeline without which the official hybrid adds up raw scores."""
    pipeline = {"phase_results_processors": [{"normalization-processor": MIN_MAX}]}
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


def calls(urls: Sequence[str], index: str, arm: Arm, count: int, seed: int) -> list[Callable[[], object]]:
    """Searches of one client, which asks the nodes in turn; whole but for the sending."""
    wires = [Wire(url, index, arm.parameters()) for url in urls]
    bodies = arm.bodies(count, seed)
    return [partial(wire.call, wire.request(body)) for wire, body in zip(itertools.cycle(wires), bodies)]
