"""A hybrid of legs that are slow, against each of them alone: a million documents on one shard.

    .venv/bin/python bench slow-legs [--opensearch URL] [--documents 1000000] [--short]

Titles of a smaller catalog are repeated, with random unit vectors of few dimensions, in the segments that
indexing left. The legs are `match` over words by Zipf's law and `knn`; one client. A further arm runs them
one after the other, as small shards do (`mmsearch.hybrid.legs_at_once_from` out of reach).
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from functools import partial

import numpy as np
import orjson
from hybrid.arms import create, latency, queries, title
from measuring.interleaved import Table, arguments, measure
from measuring.real_node import Client, node, say

NAME = "hybrid-slow-legs"
INDEX = "bench-slow-legs"
DIMENSION = 16
TITLES = 20_000
WORDS_ASKED = 12
NEIGHBOURS = 1000
BULK = 2_000
SETTING = "mmsearch.hybrid.legs_at_once_from"
NEVER = 2**31 - 1
IN_TURN = "hybrid, legs one after another"


def build(client: Client, documents: int) -> None:
    """The index: one shard, as many segments as indexing leaves."""
    # A coarse graph, which is built sooner.
    create(client, INDEX, 1, DIMENSION, m=8, ef_construction=32)
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


def arm(url: str, kind: str, count: int) -> Callable[[], float]:
    """The median time of one query of a lone client, milliseconds."""
    client, in_turn = Client(url), kind == IN_TURN
    clause = "hybrid" if in_turn else kind
    ask = latency(
        url, INDEX, partial(queries, clause, count, words=WORDS_ASKED, dimension=DIMENSION, k=NEIGHBOURS)
    )

    def run() -> float:
        setting = {"transient": {SETTING: NEVER if in_turn else None}}
        client.call("PUT", "/_cluster/settings", json.dumps(setting).encode())
        return ask()

    return run


def compare(url: str, documents: int, rounds: int, count: int) -> Table:
    """The table, with the node warm."""
    kinds = ("hybrid", IN_TURN, "match", "knn")
    for kind in kinds:
        arm(url, kind, 3 * count)()
    table = measure(NAME, {kind: arm(url, kind, count) for kind in kinds}, rounds=rounds, unit="ms")
    legs = zip(table.figures["match"], table.figures["knn"], strict=True)
    ratios = [mine / max(pair) for mine, pair in zip(table.figures["hybrid"], legs, strict=True)]
    table.figure("hybrid / the slower leg", statistics.median(ratios), {"<=": 1.3})
    table.target("hybrid", IN_TURN)
    table.note(f"{documents:,} documents on one shard, vectors of {DIMENSION}, {TITLES:,} titles repeated.")
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--opensearch", help="a node with the plugin; else one is started")
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--queries", type=int, default=60, help="per arm and round")
    asked = arguments(parser, documents=5000, rounds=1, queries=10)
    with node(asked.opensearch) as url:
        say(f"building {INDEX}")
        build(Client(url), asked.documents)
        good = compare(url, asked.documents, asked.rounds, asked.queries).finish()
    return 0 if good else 1
