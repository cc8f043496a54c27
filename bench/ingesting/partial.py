"""A price feed over a catalog that is in, against a plain `_bulk` of updates with the same bodies."""

from __future__ import annotations

import itertools
import json
import random
import time
from concurrent.futures import ThreadPoolExecutor

from ingesting.arms import Bench
from measuring.interleaved import Table, measure

from mmsearch.clients.opensearch import ask
from mmsearch.ingest.partial import parse_partial, small_change
from mmsearch.ingest.schema.fields import Schema
from mmsearch.products.record import Line

FEED_SHARE = 5
"""one product of so many gets a new price"""
BULK_ITEMS = 500
THREADS = 2  # as many as ingest writes with


def table_partial(bench: Bench, rounds: int, count: int) -> bool:
    """Partial lines a second; each feed has other prices, so that every update changes its product."""
    target = bench.created(graph=False)
    report = bench.ingest(target.name)
    if report.indexed != count:
        raise RuntimeError(f"expected {count} products to be indexed, got {report}")
    feeds = itertools.count(1)
    lines = count // FEED_SHARE
    calls: list[float] = []
    path = bench.folder / "prices.jsonl"

    def feed() -> list[bytes]:
        number = next(feeds)
        ids = random.Random(number).sample(range(count), lines)
        return [json.dumps({"id": f"p{each}", "price": each % 1000 + number}).encode() for each in ids]

    def ours() -> float:
        path.write_bytes(b"\n".join(feed()) + b"\n")
        started = time.perf_counter()
        done = bench.ingest(target.name, path, partial=True)
        if (done.indexed, done.unchanged) != (lines, 0):
            raise RuntimeError(f"expected {lines} products to change, got {done}")
        calls.append(done.encoder_calls)
        return lines / (time.perf_counter() - started)

    def plain() -> float:
        bodies = []
        for number, raw in enumerate(feed()):
            line = Line(number, raw)
            bodies.append(small_change(line, parse_partial(line), Schema()).change)
        parts = [b"".join(bodies[at : at + BULK_ITEMS]) for at in range(0, lines, BULK_ITEMS)]
        started = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as pool:
            failed = any(pool.map(lambda part: _sent(bench, target.index, part), parts))
        ask(bench.client, "POST", f"/{target.index}/_refresh")
        if failed:
            raise RuntimeError("expected every update to be taken, got errors")
        return lines / (time.perf_counter() - started)

    arms = {"ingest --partial": ours, "plain _bulk": plain}
    table: Table = measure("ingest-partial", arms, rounds=rounds, unit="lines/s")
    table.target("ingest --partial", "plain _bulk", at_least=0.9)
    table.figure("encoder calls", max(calls), {"<=": 0})
    table.note(
        f"{lines:,} partial lines over {count:,} products, the same bodies in both arms by {BULK_ITEMS} in "
        f"{THREADS} threads. The index has no graph, to save time."
    )
    return table.finish()


def _sent(bench: Bench, index: str, body: bytes) -> bool:
    """Send one bulk; whether any of it failed."""
    answer = ask(
        bench.client,
        "POST",
        f"/{index}/_bulk",
        body=body,
        params={"filter_path": "errors"},
        headers={"content-type": "application/x-ndjson"},
    )
    return bool(answer["errors"])
