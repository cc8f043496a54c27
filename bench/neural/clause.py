"""The neural clause against what it is made of: a bare call of the encoder, and raw knn with the same vector;
and beside the official clause over a remote model, ML Commons calling the same encoder.

    .venv/bin/python bench neural [--documents 20000] [--short]

The encoder is a stub that answers at once with vectors it has prepared, so that the figures are the plugin's
own.
"""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from hybrid.arms import Wire
from measuring.crowd import CLIENTS, Crowd, costs
from measuring.index import Document, create, fill, vector
from measuring.interleaved import Table, measure
from measuring.options import Options
from measuring.real_node import Client, beside_official, median_ms, say, versions
from measuring.stub_encoder import (
    DIMENSION,
    FINGERPRINT,
    PREPARED,
    StubEncoder,
    connector,
    infer,
    vector_of,
)

from mmsearch.clients.opensearch import connect
from mmsearch.search.clauses import ALONE, ClauseNames, served
from mmsearch.stack.variants import official

INDEX = "bench-neural"
PATH = f"/{INDEX}/_search"
INFER = "/v2/models/query_encoder/versions/1/infer"
K = 100
EQUAL = 50
CROWD = 4
"""times as many queries for each of CLIENTS clients as for the lone one: most find the node's code warm"""
IN_TURN, AT_ONCE = "one after another", "at once, cache off"
CACHED, CALL, STOCK = "neural, cached", "encoder call", "encoder call, then knn"


def build(client: Client, documents: int) -> None:
    """The index: random vectors, one shard, one segment."""
    encoder = {
        "model": "query_encoder",
        "model_version": "1",
        "output": "EMBEDDING",
        "fingerprint": FINGERPRINT,
    }
    mappings = {
        "_meta": {"mmsearch": {"version": 1, "fields": {"embedding": encoder}}},
        "properties": {"title": {"type": "text"}, "embedding": vector(DIMENSION)},
    }
    create(client, INDEX, mappings)
    draw = np.random.default_rng(1)

    def products() -> Iterator[Document]:
        for number in range(documents):
            drawn = draw.standard_normal(DIMENSION).astype(np.float32)
            yield str(number), {"title": f"product {number}", "embedding": drawn}

    fill(client, INDEX, products())


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
    """What the node calls our clause, and the official one's model."""

    names: ClauseNames
    model: str

    def ours(self, text: str) -> bytes:
        return neural_body(text, self.names.neural)

    def official(self, text: str) -> bytes:
        asked = {"query_text": text, "model_id": self.model, "k": K}
        return search_body({"neural": {"embedding": asked}})


def clauses_of(url: str, triton: StubEncoder) -> Clauses:
    """Asks the node, and makes the official remote model over the same encoder."""
    return Clauses(served(connect(url), INDEX), official.remote_model(url, connector(triton.url)))


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
        "official": lambda: timed([clauses.official(text) for text in fresh_texts(queries, fresh)]),
    }
    # The node's compiler needs thousands of calls before it is as fast as it gets.
    for body_of in (clauses.ours, clauses.official):
        timed([body_of(f"warm {i}") for i in range(warm)])
    knn()
    timed([clauses.ours(text) for text in cached])
    table = measure("neural", arms, rounds=rounds, unit="ms", warm_up=3)
    added = {arm: table.differences(arm, "knn") for arm in ("neural", "official")}
    over = statistics.median(a - b for a, b in zip(added["neural"], table.figures[CALL], strict=True))
    table.figure("added by neural, ms: neural minus knn minus the encoder call", over, {"<=": 0.5})
    table.target(CACHED, "knn", at_most=1.05)
    for arm, times in added.items():
        table.figure(f"{arm} minus knn, ms", statistics.median(times), {})
    ratio = statistics.median(a / b for a, b in zip(added["neural"], added["official"], strict=True))
    table.figure("(neural minus knn) / (official minus knn)", ratio, {"<=": 0.3})
    table.note("knn carries the same vectors as JSON.")
    return table


def crowd(url: str, triton: StubEncoder, clauses: Clauses, queries: int, rounds: int) -> tuple[Table, Table]:
    """Queries a second of CLIENTS clients, and the node's processor time a query in the same runs."""
    bodies: dict[str, Callable[[str], bytes]] = {
        "knn": lambda text: knn_body(vector_of(text).tolist()),
        "neural": clauses.ours,
        "official": clauses.official,
    }

    def calls(kind: str, number: int) -> list[Callable[[], object]]:
        """A client's calls, with texts that no other has asked."""
        texts = [f"{kind} {number} {each}" for each in range(queries)]
        if kind == STOCK:
            encoder, client = Client(triton.url), Client(url)
            return [partial(stock, encoder, client, text) for text in texts]
        wire = Wire(url, INDEX)
        return [partial(wire.call, wire.request(bodies[kind](text))) for text in texts]

    crowds = {kind: Crowd([url], partial(calls, kind)) for kind in ("knn", "neural", STOCK, "official")}
    table = measure(f"neural-{CLIENTS}-clients", crowds, rounds=rounds, unit="q/s")
    table.target("neural", STOCK, at_least=1.5)
    spent = Table("neural-cpu", "ms of processor time", costs(crowds))
    table.target("neural", "official", at_least=2.0)
    spent.target("neural", "knn", at_most=1.25)
    spent.target("official", "knn")
    spent.note(f"The node's own processor time a query, at {CLIENTS} clients.")
    return table, spent


def sharing(url: str, triton: StubEncoder, clauses: Clauses) -> Table:
    """How many calls EQUAL equal queries make: one after another, and all at once with the cache off."""
    client = Client(url)

    def one_after_another(body: bytes) -> int:
        before = triton.calls
        for _ in range(EQUAL):
            client.call("POST", PATH, body)
        return triton.calls - before

    body = clauses.ours("fifty equal ones")
    in_turn = one_after_another(body)
    official = one_after_another(clauses.official("fifty equal ones"))
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
    figures = {IN_TURN: [in_turn], AT_ONCE: [at_once], f"official, {IN_TURN}": [official]}
    table = Table("neural-sharing", "calls", figures)
    table.figure(f"{calls}: {IN_TURN}", in_turn, {"<=": 1})
    table.figure(f"{calls}: {AT_ONCE}", at_once, {"<=": 1})
    table.figure(f"{calls}: official, {IN_TURN}", official, {})
    return table


def main() -> int:
    sizes = {"documents": (20_000, 1_000), "rounds": (9, 1), "queries": (150, 20), "warm": (5_000, 200)}
    asked = Options(__doc__, **sizes).parse()
    with beside_official() as (url,), StubEncoder() as triton:
        client = Client(url)
        settings(client, triton__endpoints=[triton.url])
        say(f"building {INDEX}")
        build(client, asked.documents)
        clauses = clauses_of(url, triton)
        tables = [one_client(url, triton, clauses, asked.queries, asked.rounds, asked.warm)]
        tables += crowd(url, triton, clauses, CROWD * asked.queries, asked.rounds)
        tables.append(sharing(url, triton, clauses))
        for table in tables:
            table.versions = versions(url)
    good = [table.finish() for table in tables]
    return 0 if all(good) else 1
