"""A hybrid of legs that are slow, against each of them alone: a million documents on one shard.

    .venv/bin/python bench slow-legs [--documents 1000000] [--short]

Titles of a smaller catalog are repeated, with random unit vectors of few dimensions, in the segments that
indexing left. The legs are `match` over words by Zipf's law and `knn`; one client. A further arm runs them
one after the other, as small shards do (`mmsearch.hybrid.legs_at_once_from` out of reach).
"""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Callable, Iterator

import numpy as np
from hybrid.arms import Arm, calls, title
from measuring.index import Document, create, fill, vector
from measuring.interleaved import Table, measure
from measuring.options import Options
from measuring.real_node import Client, median_ms, node, say

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
    fields = {"title": {"type": "text"}, "embedding": vector(DIMENSION, m=8, ef_construction=32)}
    create(client, INDEX, {"properties": fields}, **{"knn.derived_source.enabled": False})
    draw = np.random.default_rng(1)
    titles = [title(draw) for _ in range(TITLES)]

    def products() -> Iterator[Document]:
        for number in range(documents):
            drawn = draw.standard_normal(DIMENSION).astype(np.float32)
            yield None, {"title": titles[number % TITLES], "embedding": drawn}

    fill(client, INDEX, products(), size=BULK, merge=False)


def arm(url: str, kind: str, count: int) -> Callable[[], float]:
    """The median time of one query of a lone client, milliseconds."""
    client, in_turn = Client(url), kind == IN_TURN
    asked = Arm("hybrid" if in_turn else kind, words=WORDS_ASKED, dimension=DIMENSION, k=NEIGHBOURS)
    seeds = itertools.count(1)

    def run() -> float:
        setting = {"transient": {SETTING: NEVER if in_turn else None}}
        client.call("PUT", "/_cluster/settings", json.dumps(setting).encode())
        return median_ms(calls([url], INDEX, asked, count, next(seeds)))

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
    asked = Options(__doc__, documents=(1_000_000, 5_000), rounds=(9, 1), queries=(60, 10)).parse()
    with node() as url:
        say(f"building {INDEX}")
        build(Client(url), asked.documents)
        good = compare(url, asked.documents, asked.rounds, asked.queries).finish()
    return 0 if good else 1
