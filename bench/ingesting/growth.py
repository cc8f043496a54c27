"""What grows with the catalog, from 1 k to 100 k products: cost of a product, index size, latencies.

    .venv/bin/python bench growth [--sizes 1000 10000 100000] [--short]

Real products, encoded by the real towers, are repeated: each copy has two words of its title
replaced by words of other products, and its vector moved by noise of a tenth of its length ("perturbed
copies"). One shard, one segment, the mapping that ingest makes. A product's cost is that of its bulk request,
of the merges and of the refresh, without its encoding, which does not grow. The queries are titles of real
products and a word that was never asked before, so that each neural search is encoded by Triton.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from hybrid.quantization import FLOATS, GRAPH
from hybrid.quantization import sizes as file_sizes
from measuring.index import bulks, create, post, settle
from measuring.interleaved import Table, measure
from measuring.options import Options
from measuring.real_node import MMSEARCH, Client, Processor, both, say
from numpy.typing import NDArray
from sample_data.furniture import write_catalog

from mmsearch.config import cache_folder

KINDS = ("bm25", "neural", "hybrid")
NOISE = 0.1
WARM = 600
BULK = 500
FAR = 10_000_000
"""products that the figures are extrapolated to"""


@dataclass(frozen=True)
class Built:
    """What an index has cost: wall and processor milliseconds a product, megabytes on disk, and those of them
    that a k-NN search walks."""

    wall: float
    processor: float
    disk: float
    walked: float


class Real:
    """The products that are repeated, with unit vectors float32 [n, dimension], and the mapping and analysis
    that they had."""

    def __init__(self, client: Client) -> None:
        found: dict[str, Any] = json.loads(client.call("GET", "/products"))
        ((_, index),) = found.items()
        self.mapping: dict[str, Any] = index["mappings"]
        named = index["settings"]["index"]
        self.analysis = {key: named[key] for key in ("analysis", "similarity") if key in named}
        body = {"size": 10_000, "_source": ["title", "embedding"], "query": {"match_all": {}}}
        answer = json.loads(client.call("POST", "/products/_search", json.dumps(body).encode()))
        sources = [hit["_source"] for hit in answer["hits"]["hits"] if "embedding" in hit["_source"]]
        self.titles: list[str] = [source["title"] for source in sources]
        self.vectors = np.array([source["embedding"] for source in sources], dtype=np.float32)

    def copies(self, start: int, count: int, seed: int) -> tuple[list[str], NDArray[np.float32]]:
        """Perturbed copies number `start` to `start + count`."""
        draw = random.Random(seed)
        noise = np.random.default_rng(seed).standard_normal((count, self.vectors.shape[1])).astype(np.float32)
        rows = [(start + n) % len(self.titles) for n in range(count)]
        moved = self.vectors[rows] + noise * np.float32(NOISE / np.sqrt(self.vectors.shape[1]))
        titles = []
        for row in rows:
            words = self.titles[row].split()
            for _ in range(2):
                words[draw.randrange(len(words))] = draw.choice(draw.choice(self.titles).split())
            titles.append(" ".join(words))
        return titles, moved / np.linalg.norm(moved, axis=1, keepdims=True)


def build(client: Client, real: Real, index: str, size: int) -> Built:
    """Fill an index until it is searchable in one segment."""
    create(client, index, real.mapping, **real.analysis)
    processor = Processor([client.url])
    seconds, before = 0.0, processor.ms()

    def timed(work: Callable[..., None], *arguments: object) -> float:
        began = time.perf_counter()
        work(client, index, *arguments)
        return time.perf_counter() - began

    for start in range(0, size, BULK):
        titles, vectors = real.copies(start, min(BULK, size - start), seed=start)
        products = [
            (str(start + n), {"title": title, "embedding": vector})
            for n, (title, vector) in enumerate(zip(titles, vectors, strict=True))
        ]
        for body in bulks(products):
            seconds += timed(post, body)
    seconds += timed(settle)
    spent = processor.ms() - before
    client.call("POST", f"/{index}/_flush?force=true")
    files = file_sizes(client, index)
    walked = files.get(FLOATS, 0) + files.get(GRAPH, 0)
    return Built(1000 * seconds / size, spent / size, files["store"] / 1e6, walked / 1e6)


def query(kind: str, words: str) -> dict[str, Any]:
    """A search's query."""
    lexical = {"match": {"title": words}}
    dense = {"neural": {"embedding": {"query_text": words, "k": 100}}}
    whole = {"hybrid": {"queries": [lexical, dense], "pagination_depth": 100}}
    return {"bm25": lexical, "neural": dense, "hybrid": whole}[kind]


class Latencies:
    """Times of all searches of one kind on one index."""

    def __init__(self, client: Client, real: Real, index: str, kind: str, count: int) -> None:
        self.client, self.real, self.index, self.kind, self.count = client, real, index, kind, count
        self.draw = random.Random(f"{index} {kind}")
        self.all: list[float] = []

    def __call__(self) -> float:
        times = []
        for _ in range(self.count):
            words = f"{self.draw.choice(self.real.titles)} {self.draw.randrange(10**9)}"
            body = {"size": 10, "_source": ["title"], "query": query(self.kind, words)}
            request = json.dumps(body).encode()
            began = time.perf_counter()
            self.client.call("POST", f"/{self.index}/_search", request)
            times.append(1000 * (time.perf_counter() - began))
        self.all += times
        return float(np.median(times))


def table_of(client: Client, real: Real, sizes: list[int], rounds: int, count: int) -> Table:
    """Build all sizes, then ask them in turn."""
    built = {}
    # The first of all would pay for the node's compiler.
    build(client, real, "growth-warm", 2 * BULK)
    client.call("DELETE", "/growth-warm")
    for size in sizes:
        say(f"building {size} products")
        built[size] = build(client, real, f"growth-{size}", size)
    arms: dict[str, Latencies] = {
        f"{kind}, {size}": Latencies(client, real, f"growth-{size}", kind, count)
        for size in sizes
        for kind in KINDS
    }
    calls: dict[str, Callable[[], float]] = {name: partial(arm.__call__) for name, arm in arms.items()}
    for kind in KINDS:  # the node's compiler: one index is as good as another
        for _ in range(max(1, WARM // count)):
            arms[f"{kind}, {min(sizes)}"]()
    table = measure("growth", calls, rounds=rounds, unit="ms", warm_up=1)
    for size, cost in built.items():
        for what, value in (
            ("indexing a product, ms", cost.wall),
            ("processor time to index a product, ms", cost.processor),
            ("index on disk, MB", cost.disk),
            ("of it read by k-NN searches, MB", cost.walked),
        ):
            table.figure(f"{what}: {size} products", value, {})
    p99 = {name: float(np.percentile(arm.all[-count * (rounds + 1) :], 99)) for name, arm in arms.items()}
    for name, value in p99.items():
        table.figure(f"p99, ms: {name}", value, {})
    small, large = min(sizes), max(sizes)
    for kind in KINDS:
        table.target(f"{kind}, {large}", f"{kind}, {small}")
    table.note(
        f"{len(real.titles)} real products, repeated as perturbed copies; vectors of {real.vectors.shape[1]}."
    )
    table.note(beyond(built))
    return table


def beyond(built: dict[int, Built]) -> str:
    """What the two largest say of FAR products: a graph's cost grows by the logarithm, its bytes in line."""
    (small, less), (large, more) = sorted(built.items())[-2:]
    steps = max(0.0, more.processor - less.processor) / math.log10(large / small)
    cost = more.processor + steps * math.log10(FAR / large)
    hours = cost * FAR / 3.6e6
    gigabytes, walked = (each * FAR / large / 1e3 for each in (more.disk, more.walked))
    return (
        f"Extrapolated to {FAR:,} products: {gigabytes:.0f} GB on disk, of which k-NN searches read "
        f"{walked:.0f} GB that the page cache has to hold; {hours:.0f} processor hours to build, at "
        f"{cost:.2f} ms a product. Memory for vectors and graph is the limit: more shards on more nodes, or "
        "fewer bits a value."
    )


def main() -> int:
    parser = Options(__doc__, rounds=(5, 1), queries=(60, 5))
    parser.add_argument("--sizes", type=int, nargs="+")
    asked = parser.parse()
    sizes = asked.sizes or ([100, 300] if asked.short else [1_000, 10_000, 100_000])
    with both() as servers:
        catalog = write_catalog(servers.folder / "catalog", cache_folder())
        where = (f"--opensearch={servers.url}", f"--triton={servers.triton}")
        subprocess.run([MMSEARCH, "ingest", str(catalog), *where], cwd=catalog.parent, check=True)
        client = Client(servers.url)
        table = table_of(client, Real(client), sizes, asked.rounds, asked.queries)
    return 0 if table.finish() else 1
