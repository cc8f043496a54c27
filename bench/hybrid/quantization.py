"""Full floats against Lucene's scalar quantisation: recall@10 against exact search, bytes searched, latency.

Run: `.venv/bin/python bench quantization [--products 10000] [--rounds 9] [--short]`.
The vectors are drawn, and named so: unit vectors of 768 floats around 200 centres in a space of 48 dimensions
with a little noise in all the others, which is nearer to what encoders give than vectors without structure.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import orjson
from measuring.index import create, fill
from measuring.interleaved import measure
from measuring.options import Options
from measuring.real_node import Client, median_ms, node
from numpy.typing import NDArray

from mmsearch.ingest.product_index.storage import Storage

DIMENSION, CENTRES, TRUE_DIMENSIONS = 768, 200, 48
QUERIES = 200
K = 10
ARMS = {
    "floats": Storage(),
    "byte": Storage("lucene", "byte"),
    "byte on_disk": Storage("lucene", "byte", "on_disk"),
}
# Files that a search reads for its graph: floats where nothing is quantised, else the quantised ones.
GRAPH, FLOATS, QUANTISED = "vex", "vec", "veq"


def drawn(count: int, seed: int) -> NDArray[np.float32]:
    """Unit vectors, float32 (count, 768); the centres are the same for every seed."""
    fixed, own = np.random.default_rng(1), np.random.default_rng(seed)
    axes = fixed.standard_normal((TRUE_DIMENSIONS, DIMENSION)) / np.sqrt(DIMENSION)
    centres = fixed.standard_normal((CENTRES, TRUE_DIMENSIONS))
    near = centres[own.integers(0, CENTRES, count)] + 0.6 * own.standard_normal((count, TRUE_DIMENSIONS))
    vectors = near @ axes + 0.02 * own.standard_normal((count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def build(client: Client, index: str, storage: Storage, vectors: NDArray[np.float32]) -> None:
    """An index of one shard and one segment."""
    create(client, index, {"properties": {"embedding": storage.field(DIMENSION)}})
    fill(client, index, ((str(number), {"embedding": each}) for number, each in enumerate(vectors)))
    # Only then are the merged segments' files gone, and the sizes those of one segment.
    client.call("POST", f"/{index}/_flush?force=true")


def search(client: Client, index: str, vector: NDArray[np.float32]) -> list[int]:
    """The numbers of the ten nearest."""
    clause = {"embedding": {"vector": vector, "k": K}}
    body = {"size": K, "_source": False, "query": {"knn": clause}}
    asked = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    answer: dict[str, Any] = json.loads(client.call("POST", f"/{index}/_search", asked))
    return [int(hit["_id"]) for hit in answer["hits"]["hits"]]


def sizes(client: Client, index: str) -> dict[str, int]:
    """Bytes of the index's files by their extension, and of the whole store as `store`."""
    path = f"/{index}/_stats/segments,store?include_segment_file_sizes=true"
    total = json.loads(client.call("GET", path))["_all"]["primaries"]
    found = {name: int(about["size_in_bytes"]) for name, about in total["segments"]["file_sizes"].items()}
    return found | {"store": int(total["store"]["size_in_bytes"])}


def recall(found: list[list[int]], exact: NDArray[np.int64]) -> float:
    """The mean share of the exact ten that was found."""
    return float(np.mean([len(set(one) & set(other)) / K for one, other in zip(found, exact, strict=True)]))


def main() -> int:
    given = Options(__doc__, products=(10_000, 1_000), rounds=(9, 1)).parse()
    vectors, queries = drawn(given.products, 2), drawn(QUERIES, 3)
    exact = np.argsort(-(queries @ vectors.T), axis=1)[:, :K]
    with node() as url:
        client = Client(url)
        names = {arm: f"bench-{arm.replace(' ', '-').replace('_', '-')}" for arm in ARMS}
        bytes_of, recall_of = {}, {}
        for arm, storage in ARMS.items():
            build(client, names[arm], storage, vectors)
            bytes_of[arm] = sizes(client, names[arm])
            recall_of[arm] = recall([search(client, names[arm], query) for query in queries], exact)

        def latency(index: str) -> float:
            calls: list[Callable[[], object]] = [partial(search, client, index, query) for query in queries]
            return median_ms(calls)

        table = measure(
            "quantisation",
            {arm: partial(latency, name) for arm, name in names.items()},
            rounds=given.rounds,
            unit="ms",
            warm_up=4,  # the node's compiler
        )
    searched = {
        arm: about.get(QUANTISED, 0) + about[GRAPH] if about.get(QUANTISED) else about[FLOATS] + about[GRAPH]
        for arm, about in bytes_of.items()
    }
    floor, disk = recall_of["floats"], bytes_of["floats"]["store"]
    table.figure(f"floats: recall@{K}", floor, {}, exact=True)
    for arm in list(ARMS)[1:]:
        table.figure(f"{arm}: recall@{K}", recall_of[arm], {">=": 0.95 * floor}, exact=True)
        table.figure(
            f"{arm}: bytes searched / floats", searched[arm] / searched["floats"], {"<=": 1.0}, exact=True
        )
        table.figure(
            f"{arm}: bytes on disk / floats",
            bytes_of[arm]["store"] / disk,
            {"<=": 1.4},
            exact=True,
        )
    table.target("byte", "floats", at_most=1.1)
    table.note(
        f"{given.products} drawn vectors of {DIMENSION} floats, one segment, {QUERIES} queries, k = {K}. "
        f"Bytes searched are the graph and the vectors that it is walked by (.{FLOATS} or .{QUANTISED}), "
        "which the page cache has to hold. Floats stay on disk in every arm."
    )
    return 0 if table.finish() else 1
