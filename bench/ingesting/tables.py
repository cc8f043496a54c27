"""Ingest against what it is made of and against other shapes of the same work.

    .venv/bin/python bench ingest --table ingest [--short]

Tables, each a command of at most eight minutes on two quiet cores: `ingest` (the real encoder over the
furniture catalog, its pictures included), `again` (the real encoder over openclipart), `stub` (an encoder
of 1 ms a request), `bulk`, `bulk-graph`, `memory`, `partial`; all but the first two use the encoder of
tests/fakes/fake_triton.py. The arm in one process needs LanceDB, which is installed under build/ from
requirements/bench.in.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ingesting.arms import Bench, InProcess, bulk_all, encode_all, stock_all
from ingesting.partial import table_partial
from measuring.interleaved import Table, measure
from measuring.options import Options
from measuring.peers import has
from measuring.real_node import both, node, processor_seconds
from opensearchpy import helpers
from sample_data import clipart
from sample_data.furniture import write_catalog

from mmsearch.clients.triton import Served
from mmsearch.config import cache_folder
from mmsearch.ingest.item import Item
from mmsearch.products.record import Line, parse

STUB = Path(__file__).parents[2] / "tests" / "fakes" / "fake_triton.py"
WORDS = [f"word{number}" for number in range(5_000)]
ONE = "one request a product"
FROM_PIXELS = "encoder alone, images decoded before"
WARM_UP = 3
"""first ingests after which the node compiles little more"""
FIRST, UNCHANGED, EDITED = "first ingest", "unchanged catalog", "1 % changed"
# Rounds and documents by which a table ends within eight minutes.
SHORT = (1, 300)
SIZES = {
    "ingest": (3, 820),
    "stub": (4, 6_000),
    "bulk": (5, 10_000),
    "bulk-graph": (4, 5_000),
    "again": (2, 6_900),
    "memory": (1, 100_000),
    "partial": (4, 100_000),
}


def table_ingest(bench: Bench, rounds: int, servers: list[int]) -> bool:
    """The whole run with the real encoder, each of its halves, and other shapes of the same work."""
    items, decoded = bench.items(), bench.items(pixels=True)
    with_vectors = vectored(bench.items(), bench.served.dimensions["EMBEDDING"])
    cost: dict[str, list[float]] = {}

    def rate(arm: str, work: Callable[[], object]) -> Callable[[], float]:
        """Documents a second, and beside it the processor time of all processes for one, ms."""

        def once() -> float:
            before, started = processor_seconds([os.getpid(), *servers]), time.perf_counter()
            work()
            seconds = time.perf_counter() - started
            spent = processor_seconds([os.getpid(), *servers]) - before
            cost.setdefault(arm, []).append(spent / len(items) * 1e3)
            return len(items) / seconds

        return once

    arms = {
        "mmsearch ingest": lambda: complete(bench, len(items)),
        "encoder alone": lambda: encode_all(bench, items, 4),
        FROM_PIXELS: lambda: encode_all(bench, decoded, 4),
        "bulk alone": lambda: bulk_all(bench, bench.created(), with_vectors),
        ONE: lambda: stock_all(bench, bench.created().index, items),
    }
    if has("lancedb"):
        peer = InProcess(bench)
        arms["onnxruntime + LanceDB"] = peer.all
    for _ in range(WARM_UP):
        complete(bench, len(items))
    table = measure(
        "ingest", {arm: rate(arm, work) for arm, work in arms.items()}, rounds=rounds, unit="documents/s"
    )
    slower_half(table, at_least=0.9)
    table.target("mmsearch ingest", FROM_PIXELS)
    table.target("mmsearch ingest", ONE, at_least=3.0)
    if "onnxruntime + LanceDB" in arms:
        table.target("mmsearch ingest", "onnxruntime + LanceDB", at_least=1.0)
    else:
        table.note("LanceDB could not be installed, so there is no arm in one process.")
    for arm, values in cost.items():
        table.figure(f"processor time a product, ms: {arm}", float(np.median(values)), {})
    encoder, whole = (float(np.median(cost[arm])) for arm in ("encoder alone", "mmsearch ingest"))
    single = float(np.median(cost[ONE]))
    table.note(
        f"{len(items)} products with pictures. Encoder, node and client share {os.cpu_count()} cores, so "
        "that processor time limits every rate: the encoder alone spends "
        f"{encoder:.1f} ms on a product, the run {whole:.1f}, one request a product {single:.1f}."
    )
    return table.finish()


def table_stub(bench: Bench, rounds: int) -> bool:
    """The run, and one request a product, where the encoder takes 1 ms a request."""
    items = bench.items()
    with_vectors = vectored(bench.items(), bench.served.dimensions["EMBEDDING"])
    arms = {
        "mmsearch ingest": lambda: (
            len(items) / timed(lambda: complete(bench, len(items), bench.created(graph=False).name))
        ),
        "encoder alone": lambda: len(items) / encode_all(bench, items, 4),
        "bulk alone": lambda: len(items) / bulk_all(bench, bench.created(graph=False), with_vectors),
        ONE: lambda: len(items) / stock_all(bench, bench.created(graph=False).index, items),
    }
    for _ in range(WARM_UP):
        complete(bench, len(items), bench.created(graph=False).name)
    table = measure("ingest-stub", arms, rounds=rounds, unit="documents/s")
    table.target("mmsearch ingest", ONE, at_least=10.0)
    slower_half(table)
    table.note(f"{len(items)} texts into an index without the graph.")
    return table.finish()


def complete(bench: Bench, count: int, index: str | None = None) -> None:
    report = bench.ingest(index)
    if report.indexed != count:
        raise RuntimeError(f"expected {count} products to be indexed, got {report}")


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def slower_half(table: Table, at_least: float | None = None) -> None:
    slower = min(("encoder alone", "bulk alone"), key=lambda arm: float(np.median(table.figures[arm])))
    table.target("mmsearch ingest", slower, at_least=at_least)


def vectored(items: list[Item], dimension: int) -> list[Item]:
    for item in items:
        item.vectors = {"embedding": random_unit(dimension)}
    return items


def table_bulk(bench: Bench, rounds: int, count: int, *, graph: bool) -> bool:
    """Prepared vectors into the index: our bytes, and opensearch-py's helper with JSON lists."""
    items = []
    for number in range(count):
        raw = json.dumps({"id": str(number), "title": " ".join(random.choices(WORDS, k=6))}).encode()
        item = Item.of(Line(number, raw), parse(Line(number, raw)))
        item.vectors = {"embedding": random_unit(768)}
        items.append(item)
    processor: dict[str, list[float]] = {"mmsearch": [], "helpers.bulk": []}

    served = Served("item_encoder", "query_encoder", "1", "f" * 64, "", {"EMBEDDING": 768}, 64, 0, 0)

    def ours() -> float:
        target = bench.created(served, graph=graph)
        before = time.process_time()
        seconds = bulk_all(bench, target, items)
        processor["mmsearch"].append((time.process_time() - before) / count * 1e6)
        return count / seconds

    def helper() -> float:
        target = bench.created(served, graph=graph)
        before, started = time.process_time(), time.perf_counter()
        lists = (
            {"_index": target.index, "_id": item.product.id, **item.document(), **_listed(item)}
            for item in items
        )
        done, _ = helpers.bulk(bench.client, lists, chunk_size=500)
        processor["helpers.bulk"].append((time.process_time() - before) / count * 1e6)
        return int(done) / (time.perf_counter() - started)

    name = "ingest-bulk-graph" if graph else "ingest-bulk"
    table = measure(name, {"mmsearch": ours, "helpers.bulk": helper}, rounds=rounds, unit="documents/s")
    table.target("mmsearch", "helpers.bulk", at_least=1.1 if graph else 4.0)
    for arm, bound in (("mmsearch", {"<=": 30}), ("helpers.bulk", {})):
        spent = float(np.median(processor[arm]))
        table.figure(f"client's processor time a document, µs: {arm}", spent, bound)
    table.note(f"{count} documents of 768 dimensions, {'with' if graph else 'without'} the graph.")
    return table.finish()


def table_again(bench: Bench, rounds: int) -> bool:
    """An unchanged catalog again, and one with one line in a hundred changed."""
    # Not among those that a fresh one drops.
    index = f"kept-{bench.fresh()}"
    calls: dict[str, list[int]] = {FIRST: [], UNCHANGED: [], EDITED: []}
    lines = bench.catalog.read_text(encoding="utf-8").splitlines()
    changed = bench.folder / "changed.jsonl"
    salt = itertools.count()

    def counted(arm: str, **options: Any) -> float:
        report = bench.ingest(**options)
        calls[arm].append(report.encoder_calls)
        return report.docs_per_second

    def first() -> float:
        return counted(FIRST)

    def unchanged() -> float:
        bench.ingest(index)
        return counted(UNCHANGED, index=index)

    def one_in_a_hundred() -> float:
        bench.ingest(index)
        mark = next(salt)
        edited = list(lines)
        for at in random.sample(range(len(lines)), max(1, len(lines) // 100)):
            record = json.loads(edited[at])
            record["title"] = f"{record['title']} changed {mark}"
            edited[at] = json.dumps(record)
        changed.write_text("\n".join(edited) + "\n", encoding="utf-8")
        return counted(EDITED, index=index, catalog=changed)

    table = measure(
        "ingest-again",
        {FIRST: first, UNCHANGED: unchanged, EDITED: one_in_a_hundred},
        rounds=rounds,
        unit="documents/s",
        warm_up=0,
    )
    table.target(UNCHANGED, FIRST, at_least=20)
    table.figure(f"encoder calls: {UNCHANGED}", max(calls[UNCHANGED]), {"<=": 0}, exact=True)
    table.figure(
        f"encoder calls: {EDITED} / {FIRST}",
        float(np.median(calls[EDITED])) / float(np.median(calls[FIRST])),
        {"<=": 0.012 + 1 / float(np.median(calls[FIRST]))},
        exact=True,
    )
    table.note(
        f"{len(lines)} products with pictures, the real encoder. The target of the calls is 1.2 % and one "
        "call that is not full."
    )
    return table.finish()


MEASURE = """
import sys
from pathlib import Path
sys.argv[0] = "mmsearch"
from mmsearch.cli.main import main
try:
    main()
finally:
    peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(f"peak {peak}", file=sys.stderr)
"""


def table_memory(bench: Bench, rounds: int, count: int) -> bool:
    """Peak memory of the command over so many records and over a tenth of them."""
    small, large = count // 10, count
    catalogs = {count: written(bench.folder / f"{count}.jsonl", count) for count in (small, large)}

    def peak(count: int) -> float:
        out = subprocess.run(
            [
                *(
                    sys.executable,
                    "-c",
                    MEASURE,
                    "ingest",
                    str(catalogs[count]),
                    "--index",
                    bench.created(graph=False).name,
                ),
                *("--opensearch", bench.url, "--triton", bench.triton, "--json"),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        found = re.search(r"peak (\d+)", out.stderr)
        if found is None or json.loads(out.stdout)["indexed"] != count:
            raise RuntimeError(f"expected {count} products to be indexed, got {out.stdout} {out.stderr}")
        return int(found[1]) / 1000

    table = measure(
        "ingest-memory",
        {f"{small:,} records": lambda: peak(small), f"{large:,} records": lambda: peak(large)},
        rounds=rounds,
        unit="MB",
        warm_up=0,
    )
    table.target(f"{large:,} records", f"{small:,} records", at_most=1.1)
    table.figure("peak memory, MB", float(np.max(table.figures[f"{large:,} records"])), {"<=": 400})
    table.note("The command's highest resident memory. The index has no graph, to save time.")
    return table.finish()


def written(path: Path, count: int) -> Path:
    """A catalog of texts alone."""
    draw = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            title, text = (" ".join(draw.choices(WORDS, k=k)) for k in (6, 25))
            record = {"id": f"p{number}", "title": title, "description": text, "price": number % 1000 / 10}
            file.write(json.dumps({**record, "colour": draw.choice(WORDS), "width": number}) + "\n")
    return path


def random_unit(dimension: int) -> Any:
    vector = np.random.default_rng().standard_normal(dimension).astype(np.float32)
    return vector / np.linalg.norm(vector)


def _listed(item: Item) -> dict[str, list[float]]:
    return {field: vector.tolist() for field, vector in item.vectors.items()}


@contextmanager
def stub(seconds: float) -> Iterator[str]:
    """The stub encoder as a process of its own; its address."""
    process = subprocess.Popen(
        [sys.executable, str(STUB), "--seconds", str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def main() -> int:
    parser = Options(__doc__)
    parser.add_argument("--table", choices=list(SIZES), required=True)
    parser.add_argument("--documents", type=int)
    parser.add_argument("--rounds", type=int)
    asked = parser.parse()
    rounds, documents = SHORT if asked.short else SIZES[asked.table]
    rounds, documents = asked.rounds or rounds, asked.documents or documents
    with tempfile.TemporaryDirectory() as name, ExitStack() as opened:
        folder, image_root = Path(name), None
        servers: list[int] = []
        if asked.table in ("ingest", "again"):
            real = opened.enter_context(both())
            url, triton, servers = real.url, real.triton, list(real.pids.values())
        else:
            url = opened.enter_context(node())
            triton = opened.enter_context(stub(0.001 if asked.table == "stub" else 0.0))
        if asked.table == "again":
            catalog, image_root = clipart.write_catalog(folder / "clipart", cache_folder())
        elif asked.table == "ingest":
            catalog = write_catalog(folder / "furniture", cache_folder())
        else:
            catalog = written(folder / "catalog.jsonl", 1 if asked.table == "memory" else documents)
        lines = catalog.read_text(encoding="utf-8").splitlines()[:documents]
        catalog.write_text("\n".join(lines) + "\n", encoding="utf-8")
        bench = Bench(url, triton, folder, catalog, image_root)
        table: Callable[[], bool] = {
            "ingest": lambda: table_ingest(bench, rounds, servers),
            "stub": lambda: table_stub(bench, rounds),
            "again": lambda: table_again(bench, rounds),
            "partial": lambda: table_partial(bench, rounds, documents),
            "memory": lambda: table_memory(bench, rounds, documents),
            "bulk": lambda: table_bulk(bench, rounds, documents, graph=False),
            "bulk-graph": lambda: table_bulk(bench, rounds, documents, graph=True),
        }[asked.table]
        met = table()
    return 0 if met else 1
