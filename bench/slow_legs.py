"""A hybrid of legs that are slow, against each of them alone: a million documents on one shard.

    .venv/bin/python bench/slow_legs.py [--opensearch URL] [--documents 1000000]

Titles of a smaller catalogue are repeated, with random unit vectors of few dimensions, in the segments that
indexing left. The legs are `match` over words by Zipf's law and `knn`; one client. A further arm runs them
one after the other, as small shards do (`mmsearch.hybrid.legs_at_once_from` out of reach).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import orjson
from hybrid import WINDOW, Wire, title
from interleaved import Table, measure
from real_node import Client, node, say

NAME = "hybrid-slow-legs"
INDEX = "bench-slow-legs"
DIMENSION = 16
TITLES = 20_000
WORDS_ASKED = 12
NEIGHBOURS = 1000
BULK = 2_000
SETTING = "mmsearch.hybrid.legs_at_once_from"
NEVER = 2**31 - 1


def build(client: Client, documents: int) -> None:
    """The index: one shard, as many segments as indexing leaves."""
    client.connection.request("DELETE", f"/{INDEX}")
    client.connection.getresponse().read()
    vector = {
        "type": "knn_vector",
        "dimension": DIMENSION,
        "space_type": "cosinesimil",
        # A coarse graph is built four times as fast, and walked as slowly.
        "method": {"name": "hnsw", "engine": "lucene", "parameters": {"m": 8, "ef_construction": 32}},
    }
    mapping = {
        "settings": {
            "index": {
                "knn": True,
                "knn.derived_source.enabled": False,
                "number_of_shards": 1,
                "number_of_replicas": 0,
                "refresh_interval": -1,
            }
        },
        "mappings": {"properties": {"title": {"type": "text"}, "embedding": vector}},
    }
    client.connection.timeout = 900
    client.call("PUT", f"/{INDEX}", json.dumps(mapping).encode())
    draw = np.random.default_rng(1)
    titles = [title(draw) for _ in range(TITLES)]
    for start in range(0, documents, BULK):
        rows = draw.standard_normal((min(BULK, documents - start), DIMENSION)).astype(np.float32)
        lines = []
        for number, row in enumerate(rows, start):
            document = {"title": titles[number % TITLES], "embedding": row}
            lines += [b'{"index":{}}', orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)]
        client.call("POST", f"/{INDEX}/_bulk", b"\n".join(lines) + b"\n")
    client.call("POST", f"/{INDEX}/_refresh")


def bodies(kind: str, count: int, seed: int) -> list[bytes]:
    """Bodies of one arm; the same seed gives every arm the same words and vectors."""
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        match = {"match": {"title": title(draw, WORDS_ASKED)}}
        knn = {
            "knn": {
                "embedding": {"vector": draw.standard_normal(DIMENSION).round(4).tolist(), "k": NEIGHBOURS}
            }
        }
        query: dict[str, object] = {"match": match, "knn": knn}.get(
            kind, {"hybrid": {"queries": [match, knn], "pagination_depth": WINDOW}}
        )
        made.append(json.dumps({"size": 10, "_source": ["title"], "query": query}).encode())
    return made


def arm(url: str, kind: str, count: int) -> Callable[[], float]:
    """The median time of one query of a lone client, milliseconds."""
    wire, client, seeds = Wire(url, INDEX), Client(url), iter(range(1, 10**9))

    def run() -> float:
        far = {SETTING: NEVER if kind == "hybrid, one after the other" else None}
        client.call("PUT", "/_cluster/settings", json.dumps({"transient": far}).encode())
        times = []
        for request in [wire.request(body) for body in bodies(kind, count, next(seeds))]:
            begin = time.perf_counter()
            wire.call(request)
            times.append(time.perf_counter() - begin)
        return float(np.median(times)) * 1000

    return run


def compare(url: str, documents: int, rounds: int, count: int) -> Table:
    """The table, with the node warm."""
    kinds = ("hybrid", "hybrid, one after the other", "match", "knn")
    for kind in kinds:
        arm(url, kind, 3 * count)()
    table = measure(NAME, {kind: arm(url, kind, count) for kind in kinds}, rounds=rounds, unit="ms")
    legs = zip(table.figures["match"], table.figures["knn"], strict=True)
    ratios = [mine / max(pair) for mine, pair in zip(table.figures["hybrid"], legs, strict=True)]
    table.figure("hybrid / the slower leg", statistics.median(ratios), {"<=": 1.3})
    before = table.ratio("hybrid", "hybrid, one after the other")
    table.figure("hybrid / hybrid, one after the other", before, {})
    table.note(f"{documents:,} documents on one shard, vectors of {DIMENSION}, {TITLES:,} titles repeated.")
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--opensearch", help="a node with the plugin; else one is started")
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--queries", type=int, default=60, help="per arm and round")
    asked = parser.parse_args()
    with node(asked.opensearch) as url:
        say(f"building {INDEX}")
        build(Client(url), asked.documents)
        good = compare(url, asked.documents, asked.rounds, asked.queries).finish()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
