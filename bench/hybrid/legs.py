"""The legs of a hybrid against libraries in one process: faiss at equal recall, bm25s on the same titles.

    .venv/bin/python bench legs [--opensearch URL] [--documents 10000] [--short]

The libraries answer from memory in this process, one thread, without a wire; the node's arms are whole
requests. What a request costs that searches nothing is an arm of its own, so that both can be told apart.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import orjson
from hybrid.arms import title
from hybrid.quantization import QUERIES, K, drawn, fill, recall
from measuring.interleaved import Table, arguments, measure
from measuring.peers import has
from measuring.real_node import Client, median_ms, node
from numpy.typing import NDArray

from mmsearch.ingest.product_index.storage import Storage

NEIGHBOURS = 16
CONSTRUCTION = 100
DEPTHS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
EMPTY = "empty search"
VECTORS, TITLES = "bench-leg-knn", "bench-leg-lexical"
NOTHING = orjson.dumps({"size": K, "_source": False, "query": {"match_none": {}}})


def posted(client: Client, index: str, body: bytes) -> list[int]:
    """The numbers of the hits."""
    answer: dict[str, Any] = json.loads(client.call("POST", f"/{index}/_search", body))
    return [int(hit["_id"]) for hit in answer["hits"]["hits"]]


def nearest(vector: NDArray[np.float32]) -> bytes:
    """A k-NN search as a shop asks it, with a window of 100 and ten hits."""
    clause = {"embedding": {"vector": vector, "k": 100}}
    body = {"size": K, "_source": False, "query": {"knn": clause}}
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def median_of(calls: list[Callable[[], object]]) -> Callable[[], float]:
    """An arm: the median time of a call."""
    return lambda: median_ms(calls)


def knn(client: Client, documents: int, rounds: int) -> Table:
    """The node's k-NN, and faiss's HNSW searched as deep as gives at least its recall."""
    import faiss

    faiss.omp_set_num_threads(1)
    vectors, queries = drawn(documents, 2), drawn(QUERIES, 3)
    exact = np.argsort(-(queries @ vectors.T), axis=1)[:, :K]
    fill(client, VECTORS, Storage(), vectors)
    bodies = [nearest(query) for query in queries]
    ours = recall([posted(client, VECTORS, body) for body in bodies], exact)
    began = time.perf_counter()
    index = faiss.IndexHNSWFlat(vectors.shape[1], NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = CONSTRUCTION
    index.add(vectors)
    built = time.perf_counter() - began
    theirs, depth = 0.0, 0
    for depth in DEPTHS:
        index.hnsw.efSearch = depth
        theirs = recall([index.search(query[None], K)[1][0].tolist() for query in queries], exact)
        if theirs >= ours:
            break
    arms = {
        "knn": median_of([partial(posted, client, VECTORS, body) for body in bodies]),
        EMPTY: median_of([partial(posted, client, VECTORS, NOTHING)] * QUERIES),
        "faiss HNSW in process": median_of([partial(index.search, query[None], K) for query in queries]),
    }
    for body in bodies * 10:  # the node's compiler
        posted(client, VECTORS, body)
    table = measure("leg-knn", arms, rounds=rounds, unit="ms")
    table.figure(f"recall@{K}, knn with k 100", ours, {})
    table.figure(f"recall@{K}, faiss at efSearch {depth}", theirs, {">=": ours}, exact=True)
    over = zip(table.figures["knn"], table.figures[EMPTY], strict=True)
    table.figure(f"knn minus the {EMPTY}, ms", float(np.median([a - b for a, b in over])), {})
    table.note(
        f"{documents} drawn vectors of {vectors.shape[1]} floats, {QUERIES} queries; faiss with {NEIGHBOURS} "
        f"neighbours and efConstruction {CONSTRUCTION}, built in {built:.0f} s on one thread."
    )
    client.call("DELETE", f"/{VECTORS}")
    return table


def lexical(client: Client, documents: int, rounds: int) -> Table:
    """The node's `match`, and bm25s by the same formula."""
    import bm25s

    draw = np.random.default_rng(1)
    titles = [title(draw) for _ in range(documents)]
    asked = [title(draw, 3) for _ in range(QUERIES)]
    settings = {"number_of_shards": 1, "number_of_replicas": 0}
    mapping = {"settings": settings, "mappings": {"properties": {"title": {"type": "text"}}}}
    client.call("PUT", f"/{TITLES}", json.dumps(mapping).encode())
    for start in range(0, documents, 1000):
        lines = b"".join(
            b'{"index":{"_id":"%d"}}\n' % number + orjson.dumps({"title": words}) + b"\n"
            for number, words in enumerate(titles[start : start + 1000], start)
        )
        client.call("POST", f"/{TITLES}/_bulk", lines)
    client.call("POST", f"/{TITLES}/_forcemerge?max_num_segments=1")
    client.call("POST", f"/{TITLES}/_refresh")
    quiet = {"size": K, "_source": False}
    bodies = [orjson.dumps({**quiet, "query": {"match": {"title": words}}}) for words in asked]
    peer = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    peer.index([words.split() for words in titles], show_progress=False)

    def retrieved(words: str) -> object:
        return peer.retrieve([words.split()], k=K, show_progress=False, n_threads=0)

    arms = {
        "match": median_of([partial(posted, client, TITLES, body) for body in bodies]),
        EMPTY: median_of([partial(posted, client, TITLES, NOTHING)] * QUERIES),
        "bm25s in process": median_of([partial(retrieved, words) for words in asked]),
    }
    for body in bodies * 10:
        posted(client, TITLES, body)
    table = measure("leg-lexical", arms, rounds=rounds, unit="ms")
    table.target("match", "bm25s in process")
    over = zip(table.figures["match"], table.figures[EMPTY], strict=True)
    table.figure(f"match minus the {EMPTY}, ms", float(np.median([a - b for a, b in over])), {})
    table.note(f"{documents} titles of six words by Zipf's law, {QUERIES} queries of three, ten hits.")
    client.call("DELETE", f"/{TITLES}")
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--opensearch", help="a node with k-NN; else one is started")
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    asked = arguments(parser, documents=1000, rounds=1)
    if not (has("faiss") and has("bm25s")):
        print("mmsearch: expected faiss-cpu and bm25s under build/peers, got none", file=sys.stderr)
        return 1
    with node(asked.opensearch) as url:
        client = Client(url)
        client.connection.timeout = 600
        client.connection.sock.settimeout(600)
        client.connection.request("DELETE", f"/{VECTORS},{TITLES}?ignore_unavailable=true")
        client.connection.getresponse().read()
        good = [table(client, asked.documents, asked.rounds).finish() for table in (knn, lexical)]
    return 0 if all(good) else 1
