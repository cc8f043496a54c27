"""The neural clause against what it is made of: a bare call of the encoder, and raw knn with the same vector;
and beside the official clause over a remote model, ML Commons calling the same encoder.

    .venv/bin/python bench neural [--opensearch URL] [--documents 20000] [--short]

The encoder is a stub that answers at once with vectors it has prepared, so that the figures are the plugin's
own. Without --opensearch a node is started with the checkout's plugin and the official ones, and ended after.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from hybrid.arms import Wire
from measuring.interleaved import Table, arguments, measure
from measuring.real_node import Client, beside_official, median_ms, say, versions
from measuring.stub_encoder import (
    DIMENSION,
    FINGERPRINT,
    FORK,
    PREPARED,
    StubEncoder,
    connector,
    infer,
    vector_of,
)

from mmsearch.clients.opensearch import connect
from mmsearch.search.clauses import ALONE, BESIDE, ClauseNames, served
from mmsearch.stack.variants import official

INDEX = "bench-neural"
PATH = f"/{INDEX}/_search"
INFER = "/v2/models/query_encoder/versions/1/infer"
K = 100
CLIENTS = 8
EQUAL = 50
IN_TURN, AT_ONCE = "one after another", "at once, cache off"
CACHED, CALL, STOCK = "neural, cached", "encoder call", "encoder call, then knn"
PROBE_SECONDS = 1.2  # the node reads its own processor time once a second


def build(client: Client, documents: int, index: str = INDEX) -> None:
    """The index: random unit vectors, one shard, one segment."""
    client.connection.request("DELETE", f"/{index}")
    client.connection.getresponse().read()
    field = {
        "type": "knn_vector",
        "dimension": DIMENSION,
        "space_type": "cosinesimil",
        "method": {"name": "hnsw", "engine": "lucene"},
    }
    encoder = {
        "model": "query_encoder",
        "model_version": "1",
        "output": "EMBEDDING",
        "fingerprint": FINGERPRINT,
    }
    mapping = {
        "settings": {
            "index": {"knn": True, "number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": -1}
        },
        "mappings": {
            "_meta": {"mmsearch": {"version": 1, "fields": {"embedding": encoder}}},
            "properties": {"title": {"type": "text"}, "embedding": field},
        },
    }
    client.call("PUT", f"/{index}", json.dumps(mapping).encode())
    generator = np.random.default_rng(1)
    for start in range(0, documents, 500):
        rows = generator.standard_normal((min(500, documents - start), DIMENSION)).astype(np.float32)
        lines = []
        for number, row in enumerate(rows, start):
            document = {"title": f"product {number}", "embedding": [round(float(x), 5) for x in row]}
            lines += [json.dumps({"index": {"_id": str(number)}}), json.dumps(document)]
        client.call("POST", f"/{index}/_bulk", ("\n".join(lines) + "\n").encode())
    client.call("POST", f"/{index}/_forcemerge?max_num_segments=1")
    client.call("POST", f"/{index}/_refresh")


def settings(client: Client, **values: object) -> None:
    """Set the plugin's settings; `_` stands for `.`, a value None for the default."""
    flat = {f"mmsearch.{key.replace('__', '.')}": value for key, value in values.items()}
    client.call("PUT", "/_cluster/settings", json.dumps({"transient": flat}).encode())


def search_body(query: dict[str, object]) -> bytes:
    """Ten hits with their title, as a shop asks."""
    return json.dumps({"size": 10, "_source": ["title"], "query": query}).encode()


def knn_body(vector: list[float]) -> bytes:
    """A raw knn query with its vector as JSON."""
    return search_body({"knn": {"embedding": {"vector": vector, "k": K}}})


def neural_body(text: str, name: str = ALONE.neural) -> bytes:
    """The clause, by the name that the node gives it."""
    return search_body({name: {"embedding": {"query_text": text, "k": K}}})


@dataclass(frozen=True)
class Clauses:
    """What the node calls our clause, and the official one's model where the official plugin is."""

    names: ClauseNames
    model: str | None

    def ours(self, text: str) -> bytes:
        return neural_body(text, self.names.neural)

    def official(self, text: str) -> bytes:
        asked = {"query_text": text, "model_id": self.model, "k": K}
        return search_body({"neural": {"embedding": asked}})


def clauses_of(url: str, triton: StubEncoder) -> Clauses:
    """Asks the node, and makes the official remote model over the same encoder where that plugin is."""
    names = served(connect(url), INDEX)
    return Clauses(names, official.remote_model(url, connector(triton.url)) if names == BESIDE else None)


def stock(encoder: Client, search: Client, text: str) -> None:
    """What a client does without the clause: JSON floats from the encoder, JSON floats into knn."""
    vector = json.loads(encoder.call("POST", "/embed", json.dumps({"text": text}).encode()))
    search.call("POST", PATH, knn_body(vector))


def fresh_texts(count: int, numbers: Iterator[int]) -> list[str]:
    """Texts that no one has asked before."""
    return [f"query {next(numbers)}" for _ in range(count)]


def one_client(
    url: str, triton: StubEncoder, clauses: Clauses, queries: int, rounds: int, warm: int
) -> Table:
    """Latencies of a lone client."""
    client, encoder = Client(url), Client(triton.url)
    fresh = iter(range(10**9))
    draw = random.Random(7)
    cached = [f"cached {i}" for i in range(PREPARED)]

    def timed(bodies: list[bytes]) -> float:
        return median_ms([lambda b=b: client.call("POST", PATH, b) for b in bodies])

    def bare() -> float:
        requests = [infer(text) for text in fresh_texts(queries, fresh)]
        return median_ms([lambda r=r: encoder.call("POST", INFER, r[0], r[1]) for r in requests])

    def knn() -> float:
        return timed([knn_body(vector_of(text).tolist()) for text in fresh_texts(queries, fresh)])

    arms: dict[str, Callable[[], float]] = {
        "knn": knn,
        "neural": lambda: timed([clauses.ours(text) for text in fresh_texts(queries, fresh)]),
        CACHED: lambda: timed([clauses.ours(draw.choice(cached)) for _ in range(queries)]),
        CALL: bare,
        STOCK: lambda: median_ms(
            [lambda t=t: stock(encoder, client, t) for t in fresh_texts(queries, fresh)]
        ),
    }
    # The node's compiler needs thousands of calls before it is as fast as it gets.
    timed([clauses.ours(f"warm {i}") for i in range(warm)])
    if clauses.model:
        arms["official"] = lambda: timed([clauses.official(text) for text in fresh_texts(queries, fresh)])
        timed([clauses.official(f"warm {i}") for i in range(warm)])
    knn()
    timed([clauses.ours(text) for text in cached])
    table = measure("neural", arms, rounds=rounds, unit="ms", warm_up=3)
    triples = zip(*(table.figures[arm] for arm in ("neural", "knn", CALL)), strict=True)
    over = statistics.median(neural - knn - bare for neural, knn, bare in triples)
    table.figure("added by neural, ms: neural minus knn minus the encoder call", over, {"<=": 0.5})
    table.target(CACHED, "knn", at_most=1.05)
    if clauses.model:
        added = {
            arm: [a - b for a, b in zip(table.figures[arm], table.figures["knn"], strict=True)]
            for arm in ("neural", "official")
        }
        for arm, times in added.items():
            table.figure(f"{arm} minus knn, ms", statistics.median(times), {})
        ratios = [ours / theirs for ours, theirs in zip(added["neural"], added["official"], strict=True)]
        table.figure("(neural minus knn) / (official minus knn)", statistics.median(ratios), {"<=": 0.3})
    table.note("knn carries the same vectors as JSON.")
    return table


def crowd_member(
    url: str,
    triton: str,
    clauses: Clauses,
    kind: str,
    count: int,
    seed: int,
    start: object,
    ends: object,
) -> None:
    """One of many clients: ready, waits for the others, asks."""
    texts = [f"{kind} {seed} {number}" for number in range(count)]
    if kind == STOCK:
        encoder, client = Client(triton), Client(url)
        calls: list[Callable[[], object]] = [lambda t=t: stock(encoder, client, t) for t in texts]
    else:
        wire = Wire(url, INDEX)
        body_of = {
            "knn": lambda text: knn_body(vector_of(text).tolist()),
            "neural": clauses.ours,
            "official": clauses.official,
        }[kind]
        requests = [wire.request(body_of(text)) for text in texts]
        calls = [lambda r=r: wire.call(r) for r in requests]
    start.wait()  # type: ignore[attr-defined]
    begin = time.perf_counter()
    for call in calls:
        call()
    ends.put((begin, time.perf_counter()))  # type: ignore[attr-defined]


def node_cpu_ms(client: Client) -> float:
    """Processor time that the node's process has used, milliseconds."""
    time.sleep(PROBE_SECONDS)
    stats = json.loads(client.call("GET", "/_nodes/_local/stats/process"))
    return float(next(iter(stats["nodes"].values()))["process"]["cpu"]["total_in_millis"])


def crowd(url: str, triton: StubEncoder, clauses: Clauses, queries: int, rounds: int) -> tuple[Table, Table]:
    """Queries a second of CLIENTS clients, and the node's processor time a query in the same runs."""
    client = Client(url)
    runs = iter(range(10**6))
    cpu: list[float] = []

    def run(kind: str) -> float:
        start = FORK.Barrier(CLIENTS)
        ends = FORK.Queue()
        number = next(runs)
        members = [
            FORK.Process(
                target=crowd_member,
                args=(url, triton.url, clauses, kind, queries, number * CLIENTS + i, start, ends),
            )
            for i in range(CLIENTS)
        ]
        before = node_cpu_ms(client)
        for member in members:
            member.start()
        spans = [ends.get(timeout=300) for _ in members]
        for member in members:
            member.join()
        cpu.append((node_cpu_ms(client) - before) / (CLIENTS * queries))
        return CLIENTS * queries / (max(end for _, end in spans) - min(begin for begin, _ in spans))

    costs: dict[str, list[float]] = {}

    def arm(kind: str, name: str) -> Callable[[], float]:
        def both() -> float:
            rate = run(kind)
            costs.setdefault(name, []).append(cpu[-1])
            return rate

        return both

    warm_up = 1
    names = ("knn", "neural", STOCK, *(["official"] if clauses.model else []))
    table = measure(
        f"neural-{CLIENTS}-clients",
        {name: arm(name, name) for name in names},
        rounds=rounds,
        unit="q/s",
        warm_up=warm_up,
    )
    table.target("neural", STOCK, at_least=1.5)
    if clauses.model:
        table.target("neural", "official", at_least=2.0)
    # The first arm ran twice a round: of its costs, the first of each pair is taken.
    costs["knn"] = costs["knn"][::2]
    spent = Table("neural-cpu", "ms of processor time", {name: costs[name][warm_up:] for name in names})
    spent.target("neural", "knn", at_most=1.25)
    if clauses.model:
        spent.target("official", "knn")
    spent.note(f"The node's own processor time a query, at {CLIENTS} clients.")
    return table, spent


def sharing(url: str, triton: StubEncoder, clauses: Clauses) -> Table:
    """How many calls EQUAL equal queries make: one after another, and all at once with the cache off."""
    client = Client(url)
    body = clauses.ours("fifty equal ones")
    before = triton.calls
    for _ in range(EQUAL):
        client.call("POST", PATH, body)
    in_turn = triton.calls - before
    settings(client, cache__size="0b", triton__timeout="20s")
    triton.behave(delay=3)
    before = triton.calls
    with ThreadPoolExecutor(EQUAL) as pool:
        connections = [Client(url) for _ in range(EQUAL)]
        for done in [pool.submit(each.call, "POST", PATH, body) for each in connections]:
            done.result()
    at_once = triton.calls - before
    triton.behave()
    settings(client, cache__size=None, triton__timeout=None)
    calls = f"encoder calls of {EQUAL} equal queries"
    table = Table("neural-sharing", "calls", {IN_TURN: [in_turn], AT_ONCE: [at_once]})
    table.figure(f"{calls}: {IN_TURN}", in_turn, {"<=": 1})
    table.figure(f"{calls}: {AT_ONCE}", at_once, {"<=": 1})
    if clauses.model:
        before = triton.calls
        for _ in range(EQUAL):
            client.call("POST", PATH, clauses.official("fifty equal ones"))
        table.figures[f"official, {IN_TURN}"] = [triton.calls - before]
        table.figure(f"{calls}: official, {IN_TURN}", triton.calls - before, {})
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--opensearch", help="a node with the plugin on this machine; else one is started")
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--queries", type=int, default=150, help="per arm and round, and client")
    parser.add_argument("--warm", type=int, default=5000, help="queries before the first round")
    asked = arguments(parser, documents=1000, rounds=1, queries=20, warm=200)
    with beside_official(asked.opensearch) as (url,), StubEncoder() as triton:
        client = Client(url)
        settings(client, triton__endpoints=[triton.url])
        say(f"building {INDEX}")
        build(client, asked.documents)
        clauses = clauses_of(url, triton)
        tables = [one_client(url, triton, clauses, asked.queries, asked.rounds, asked.warm)]
        tables += crowd(url, triton, clauses, asked.queries, asked.rounds)
        tables.append(sharing(url, triton, clauses))
        for table in tables:
            table.versions = versions(url)
        good = [table.finish() for table in tables]
        client.call("DELETE", f"/{INDEX}")
    return 0 if all(good) else 1
