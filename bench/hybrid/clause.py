"""The hybrid clause beside `bool` over the same legs and the official hybrid, on one index of one cluster.

    .venv/bin/python bench hybrid [--nodes 2] [--shards 3] [--windows 100] [--documents 50000] [--short]

For each number of shards and each window two tables: a lone client's times, query by query in turns, and
CLIENTS clients at once, with the processor time that a query costs the nodes. Every arm is asked with a terms
facet and without. The legs are `match` over titles drawn by Zipf's law and `knn` over random unit vectors,
384-d, its `k` being the window; ten hits, `_source: [title]`, one segment a shard. The node, or with
`--nodes 2` a cluster of two whose nodes are asked in turn, has the official plugins beside ours.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from functools import partial

from hybrid.arms import CATEGORIES, WINDOW, Arm, build, calls, fuse_officially
from measuring.crowd import CLIENTS, Crowd, costs
from measuring.interleaved import Table, measure, measure_queries
from measuring.options import Options
from measuring.real_node import Client, beside_official, say, versions

from mmsearch.clients.opensearch import connect
from mmsearch.search.clauses import ClauseNames, served

WITH_FACET = ", facet"
TIMES = {1: 1.07, 3: 1.05}
"""shards → how many times `bool`'s p50 a hybrid may take, one client"""
TIMES_FACET = {1: 1.10, 2: 1.40}
"""nodes → the same with a facet on both, three shards"""
TIMES_BOUNDS = 1.03
"""how many times a hybrid's p50 may one that finds the bounds of its legs' scores take"""
RATE = 0.95
"""the part of `bool`'s queries a second that is aimed at, three shards"""
OVER_OFFICIAL = 2.5
"""how many times the official hybrid's queries a second are aimed at, one shard, window 100"""


def name_of(nodes: int, shards: int, window: int) -> str:
    """The table's name, which steps.py lists."""
    over = f"hybrid-{nodes}-nodes" if nodes > 1 else "hybrid"
    return f"{over}-{shards}-shards-window-{window}"


def arms_of(names: ClauseNames, window: int) -> dict[str, Arm]:
    """The arms by name, `bool` first; the legs at the usual window."""
    arms = {
        kind + (WITH_FACET if facet else ""): Arm(kind, window, facet, names)
        for facet in (False, True)
        for kind in ("bool", "hybrid", "official")
    }
    legs = ("match", "knn", "bounds") if window == WINDOW else ()
    return arms | {kind: Arm(kind, window, names=names) for kind in legs}


def lone_targets(table: Table, nodes: int, shards: int, window: int) -> None:
    """What a lone client's times are judged by."""
    table.target("hybrid", "bool", at_most=TIMES[shards] if shards > 1 or window == WINDOW else None)
    table.target("official", "bool")
    table.target("hybrid", "official", at_most=1.0 if shards > 1 else None)
    if window == WINDOW:
        table.target("bounds", "hybrid", at_most=TIMES_BOUNDS)
    facet = TIMES_FACET.get(nodes) if shards > 1 else None
    table.target("hybrid" + WITH_FACET, "bool" + WITH_FACET, at_most=facet)


def crowd_targets(table: Table, costs: Mapping[str, float], shards: int, window: int) -> None:
    """What many clients' throughput is judged by, and what a query costs the nodes."""
    table.target("hybrid", "bool", at_least=RATE if shards > 1 else None)
    table.target("hybrid" + WITH_FACET, "bool" + WITH_FACET)
    table.target("official", "bool")
    usual = shards == 1 and window == WINDOW
    table.target("hybrid", "official", at_least=OVER_OFFICIAL if usual else None)
    for arm, cost in costs.items():
        table.figure(f"processor time a query on the nodes, ms: {arm}", cost, {})
        if arm.startswith(("hybrid", "official")):
            base = bool_of(arm)
            table.figure(f"processor time a query: {arm} / {base}", cost / costs[base], {})


def bool_of(arm: str) -> str:
    """`bool` with a facet for an arm with one, else without."""
    return "bool" + (WITH_FACET if arm.endswith(WITH_FACET) else "")


def counted(url: str, index: str, arms: Mapping[str, Arm]) -> dict[str, int]:
    """How many products each facet counts for one query. Raises RuntimeError when an arm finds no ten hits,
    since an arm that finds nothing is fast."""
    counts = {}
    for name, arm in arms.items():
        (body,) = arm.bodies(1, 1)
        found = json.loads(Client(url).call("POST", f"/{index}/_search{arm.parameters()}", body))
        if len(found["hits"]["hits"]) != 10:
            raise RuntimeError(f"expected ten hits from {name}, got {len(found['hits']['hits'])}")
        if arm.facet:
            facet = found["aggregations"]["categories"]
            total = sum(bucket["doc_count"] for bucket in facet["buckets"])
            counts[arm.kind] = total + facet["sum_other_doc_count"]
    return counts


def notes(table: Table, url: str, documents: int, nodes: int, counts: Mapping[str, int]) -> None:
    """What the figures stand for; `counts` are those of the facets for one query."""
    table.note(
        f"{documents} documents on {nodes} node{'s' if nodes > 1 else ''}. The facet is `terms` over a "
        f"keyword of {CATEGORIES} values; for one query it counts "
        + ", ".join(f"{count} for {kind}" for kind, count in counts.items())
        + "."
    )
    table.versions = versions(url)


def crowd_of(urls: Sequence[str], index: str, arm: Arm, count: int) -> Crowd:
    """Many clients of an arm; every run of every arm asks for the same words and vectors."""
    return Crowd(urls, lambda number: calls(urls, index, arm, count, number % CLIENTS))


def warm(urls: Sequence[str], index: str, arms: Mapping[str, Arm], count: int) -> None:
    """The nodes' compilers need thousands of calls before they are as fast as they get."""
    for arm in arms.values():
        for call in calls(urls, index, arm, count, 0):
            call()


def main() -> int:
    sizes = {"documents": (50_000, 2_000), "rounds": (9, 1), "warm": (1000, 20)}
    parser = Options(__doc__, queries=(100, 10), crowd_queries=(120, 10), **sizes)
    parser.add_argument("--nodes", type=int, choices=(1, 2), default=1, help="how many are started")
    parser.add_argument("--shards", type=int, action="append", choices=(1, 3), help="repeatable; else 1, 3")
    parser.add_argument("--windows", type=int, action="append", help="repeatable; else 10, 100 and 500")
    asked = parser.parse()
    good = True
    with beside_official(asked.nodes) as urls:
        client = Client(urls[0])
        for shards in asked.shards or (1, 3):
            index = f"bench-hybrid-{shards}"
            say(f"building {index}")
            build(client, index, asked.documents, shards)
            names = served(connect(urls[0]), index)
            fuse_officially(client)
            for number, window in enumerate(asked.windows or ((100,) if asked.short else (10, 100, 500))):
                name = name_of(len(urls), shards, window)
                say(f"measuring {name}")
                arms = arms_of(names, window)
                counts = counted(urls[0], index, arms)
                warm(urls, index, arms, asked.warm if number == 0 else asked.warm // 10)
                ask = {arm: partial(calls, urls, index, each) for arm, each in arms.items()}
                table = measure_queries(name, ask, rounds=asked.rounds, queries=asked.queries)
                lone_targets(table, len(urls), shards, window)
                crowds = {
                    arm: crowd_of(urls, index, each, asked.crowd_queries)
                    for arm, each in arms.items()
                    if each.kind not in ("match", "knn", "bounds")
                }
                crowd = measure(f"{name}-{CLIENTS}-clients", crowds, rounds=asked.rounds, unit="q/s")
                spent = {arm: statistics.median(each) for arm, each in costs(crowds).items()}
                crowd_targets(crowd, spent, shards, window)
                for each in (table, crowd):
                    notes(each, urls[0], asked.documents, len(urls), counts)
                    good &= each.finish()
            client.call("DELETE", f"/{index}")
    return 0 if good else 1
