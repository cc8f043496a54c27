"""The legs of a hybrid against libraries in one process: faiss at equal recall, bm25s on the same titles.

    .venv/bin/python bench legs [--documents 10000] [--short]

The libraries answer from memory in this process, one thread, without a wire; the node's arms are whole
requests. What a request costs that searches nothing is an arm of its own, so that both can be told apart.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import orjson
from hybrid import quantization
from hybrid.arms import title
from hybrid.quantization import QUERIES, K, drawn, recall
from measuring.index import create, fill
from measuring.interleaved import Table, measure
from measuring.options import Options
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


def compared(
    client: Client,
    index: str,
    ours: str,
    bodies: Sequence[bytes],
    peer: tuple[str, Sequence[Callable[[], object]]],
    rounds: int,
) -> Table:
    """The leg `ours` of the node, a request that searches nothing, and a library by its name and calls."""
    name, calls = peer
    arms: dict[str, Sequence[Callable[[], object]]] = {
        ours: [partial(posted, client, index, body) for body in bodies],
        EMPTY: [partial(posted, client, index, NOTHING)] * QUERIES,
        name: calls,
    }
    for _ in range(10):  # the node's compiler
        median_ms(arms[ours])
    kind = "knn" if ours == "knn" else "lexical"
    timed = {arm: partial(median_ms, each) for arm, each in arms.items()}
    table = measure(f"leg-{kind}", timed, rounds=rounds, unit="ms")
    table.figure(f"{ours} minus the {EMPTY}, ms", statistics.median(table.differences(ours, EMPTY)), {})
    return table


def knn(client: Client, documents: int, rounds: int) -> Table:
    """The node's k-NN, and faiss's HNSW searched as deep as gives at least its recall."""
    import faiss

    faiss.omp_set_num_threads(1)
    vectors, queries = drawn(documents, 2), drawn(QUERIES, 3)
    exact = np.argsort(-(queries @ vectors.T), axis=1)[:, :K]
    quantization.build(client, VECTORS, Storage(), vectors)
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
    calls = [partial(index.search, query[None], K) for query in queries]
    table = compared(client, VECTORS, "knn", bodies, ("faiss HNSW in process", calls), rounds)
    table.figure(f"recall@{K}, knn with k 100", ours, {})
    table.figure(f"recall@{K}, faiss at efSearch {depth}", theirs, {">=": ours}, exact=True)
    table.note(
        f"{documents} drawn vectors of {vectors.shape[1]} floats, {QUERIES} queries; faiss with {NEIGHBOURS} "
        f"neighbours and efConstruction {CONSTRUCTION}, built in {built:.0f} s on one thread."
    )
    return table


def lexical(client: Client, documents: int, rounds: int) -> Table:
    """The node's `match`, and bm25s by the same formula."""
    import bm25s

    draw = np.random.default_rng(1)
    titles = [title(draw) for _ in range(documents)]
    asked = [title(draw, 3) for _ in range(QUERIES)]
    create(client, TITLES, {"properties": {"title": {"type": "text"}}})
    fill(client, TITLES, ((str(number), {"title": words}) for number, words in enumerate(titles)))
    quiet = {"size": K, "_source": False}
    bodies = [orjson.dumps({**quiet, "query": {"match": {"title": words}}}) for words in asked]
    peer = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    peer.index([words.split() for words in titles], show_progress=False)
    found = partial(peer.retrieve, k=K, show_progress=False, n_threads=0)
    calls = [partial(found, [words.split()]) for words in asked]
    table = compared(client, TITLES, "match", bodies, ("bm25s in process", calls), rounds)
    table.target("match", "bm25s in process")
    table.note(f"{documents} titles of six words by Zipf's law, {QUERIES} queries of three, ten hits.")
    return table


def main() -> int:
    asked = Options(__doc__, documents=(10_000, 1_000), rounds=(7, 1)).parse()
    if not (has("faiss") and has("bm25s")):
        print("mmsearch: expected faiss-cpu and bm25s under build/peers, got none", file=sys.stderr)
        return 1
    with node() as url:
        good = [table(Client(url), asked.documents, asked.rounds).finish() for table in (knn, lexical)]
    return 0 if all(good) else 1
