"""Ingest against what it is made of and against other shapes of the same work.

    .venv/bin/python bench/ingest.py --table bulk [--opensearch URL]
    .venv/bin/python bench/ingest.py --table ingest --catalogue build/demo/catalog.jsonl --triton HOST:PORT

Tables: `ingest` (a real encoder), `stub` (an encoder of 1 ms a request), `bulk`, `again` and `memory`.
Without --opensearch a node is started and ended after. All but `ingest` use the stub of tests/fake_triton.py.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from interleaved import measure
from neural import node
from opensearchpy import OpenSearch, helpers

from mmsearch.ingest.bulk import action, send
from mmsearch.ingest.catalogue import Catalogue
from mmsearch.ingest.connect import ask, connect
from mmsearch.ingest.encode import Encoder, Row, Served
from mmsearch.ingest.index import Target, definition, open_index
from mmsearch.ingest.item import Item
from mmsearch.ingest.job import Job
from mmsearch.ingest.prepare import Prepared, Task, prepare
from mmsearch.ingest.records import Line, parse
from mmsearch.ingest.run import run
from mmsearch.ingest.tally import Report

INDEX = "bench-ingest"
STUB = Path(__file__).parents[1] / "tests" / "fake_triton.py"
CONNECTIONS = 30
BATCH = 32
WORDS = [f"word{number}" for number in range(5_000)]


class Bench:
    """One node, one encoder, one catalogue."""

    def __init__(self, url: str, triton: str, folder: Path, catalogue: Path) -> None:
        self.url = url
        self.triton = triton
        self.folder = folder
        self.catalogue = catalogue
        self.client: OpenSearch = connect(url, connections=CONNECTIONS + 2)
        self.encoder = Encoder(triton)
        self.served = self.encoder.describe()
        self.names = itertools.count()

    def drop(self) -> None:
        ask(self.client, "DELETE", f"/{INDEX}*", params={"ignore_unavailable": "true"})

    def fresh(self) -> str:
        self.drop()
        return f"{INDEX}-{next(self.names)}"

    def ingest(self, index: str | None = None, catalogue: Path | None = None) -> Report:
        job = Job(
            str(catalogue or self.catalogue),
            self.catalogue.parent,
            self.folder / "rejects.jsonl",
            index=index or self.fresh(),
            journal=self.folder / "journal",
            batch=BATCH,
        )
        return run(job, self.encoder, self.client)

    def items(self) -> list[Item]:
        """The catalogue in memory, pictures checked, nothing encoded."""
        found = []
        with closing(Catalogue(str(self.catalogue))) as lines:
            for line in lines:
                item = Item.of(line, parse(line), self.served.max_text_bytes)
                if item.product.pictures:
                    result = prepare(Task(item.product.pictures, ""), self.catalogue.parent)
                    if isinstance(result, Prepared):
                        item.pictures, item.image_hash = result.pictures, result.digest
                found.append(item)
        return found


def encode_all(bench: Bench, items: list[Item], in_flight: int) -> float:
    """Rows from memory through the encoder, by full batches; seconds."""
    rows: list[Row] = [(item.text.encode(), (item.pictures or (b"",))[0]) for item in items]
    batches = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]
    started = time.perf_counter()
    with ThreadPoolExecutor(in_flight) as pool:
        list(pool.map(lambda batch: bench.encoder.encode(batch, bench.served, ["EMBEDDING"]), batches))
    return time.perf_counter() - started


def bulk_all(bench: Bench, target: Target, items: list[Item], threads: int = 2) -> float:
    """Items with vectors into the index as ingest writes them; seconds."""
    started = time.perf_counter()

    def one(part: list[Item]) -> None:
        outcome = send(bench.client, target, part, [action(item, target.fields) for item in part])
        if outcome.again or outcome.refused:
            raise RuntimeError(f"expected all {len(part)} documents to be taken, got {outcome}")

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, [items[at : at + 500] for at in range(0, len(items), 500)]))
    return time.perf_counter() - started


def stock_all(bench: Bench, index: str, items: list[Item]) -> float:
    """One encode and one index request a document, vectors as JSON lists, 30 connections; seconds."""
    started = time.perf_counter()

    def one(item: Item) -> None:
        row = (item.text.encode(), (item.pictures or (b"",))[0])
        (vectors,) = bench.encoder.encode([row], bench.served, ["EMBEDDING"])
        vector = json.loads(json.dumps(vectors[0].tolist()))
        body = json.dumps({**item.document(), "embedding": vector})
        ask(bench.client, "PUT", f"/{index}/_doc/{item.product.id}", body=body)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(one, items))
    return time.perf_counter() - started


def table_ingest(bench: Bench, rounds: int, name: str, targets: dict[str, float]) -> bool:
    """The whole run, and each of its halves alone."""
    items = bench.items()
    with_vectors = bench.items()
    for item in with_vectors:
        item.vectors = {"embedding": random_unit(bench.served.dimensions["EMBEDDING"])}

    def whole() -> float:
        report = bench.ingest()
        if report.indexed != len(items):
            raise RuntimeError(f"expected {len(items)} products to be indexed, got {report}")
        return report.docs_per_second

    def encoder() -> float:
        return len(items) / encode_all(bench, items, 4)

    def bulk() -> float:
        target = open_index(bench.client, bench.fresh(), bench.served)
        return len(items) / bulk_all(bench, target, with_vectors)

    def stock() -> float:
        target = open_index(bench.client, bench.fresh(), bench.served)
        return len(items) / stock_all(bench, target.index, items)

    arms = {"mmsearch ingest": whole, "encoder alone": encoder, "bulk alone": bulk, "stock shape": stock}
    table = measure(name, arms, rounds=rounds, unit="documents/s")
    slower = min(("encoder alone", "bulk alone"), key=lambda arm: float(np.median(table.figures[arm])))
    if "slower half" in targets:
        table.target("mmsearch ingest", slower, at_least=targets["slower half"])
    table.target("mmsearch ingest", "stock shape", at_least=targets["stock shape"])
    table.note(f"{len(items)} products; the slower half is: {slower}.")
    table.note("Stock shape: one encode and one index request a document, JSON floats, 30 connections.")
    return table.finish()


def table_bulk(bench: Bench, rounds: int, count: int, *, graph: bool) -> bool:
    """Prepared vectors into the index: our bytes, and opensearch-py's helper with JSON lists."""
    items = []
    for number in range(count):
        raw = json.dumps({"id": str(number), "title": " ".join(random.choices(WORDS, k=6))}).encode()
        item = Item.of(Line(number, raw), parse(Line(number, raw)))
        item.vectors = {"embedding": random_unit(768)}
        items.append(item)
    processor: dict[str, list[float]] = {"ours": [], "helpers.bulk": []}

    def created() -> Target:
        name = bench.fresh()
        served = Served("item_encoder", "query_encoder", "1", "f" * 64, "", {"EMBEDDING": 768}, 64, 0, 0)
        body = definition(served, ["embedding"])
        if not graph:
            body["settings"]["index"]["knn.advanced.approximate_threshold"] = -1
        ask(bench.client, "PUT", f"/{name}", body=body)
        return Target(name, name, ("embedding",), created=True)

    def ours() -> float:
        target = created()
        before = time.process_time()
        seconds = bulk_all(bench, target, items)
        processor["ours"].append((time.process_time() - before) / count * 1e6)
        return count / seconds

    def helper() -> float:
        target = created()
        before, started = time.process_time(), time.perf_counter()
        lists = (
            {"_index": target.index, "_id": item.product.id, **item.document(), **_listed(item)}
            for item in items
        )
        done, _ = helpers.bulk(bench.client, lists, chunk_size=500)
        processor["helpers.bulk"].append((time.process_time() - before) / count * 1e6)
        return int(done) / (time.perf_counter() - started)

    name = "ingest-bulk-graph" if graph else "ingest-bulk"
    table = measure(name, {"ours": ours, "helpers.bulk": helper}, rounds=rounds, unit="documents/s")
    table.target("ours", "helpers.bulk", at_least=1.1 if graph else 4.0)
    table.figure("client CPU, ours, us a document", float(np.median(processor["ours"])), {"<=": 30})
    table.figure("client CPU, helpers.bulk, us a document", float(np.median(processor["helpers.bulk"])), {})
    table.note(f"{count} documents of 768 dimensions, {'with' if graph else 'without'} the graph.")
    return table.finish()


def table_again(bench: Bench, rounds: int, count: int) -> bool:
    """An unchanged catalogue again, and one with one line in a hundred changed."""
    index = bench.fresh()
    calls: dict[str, list[int]] = {"first": [], "unchanged": [], "one in a hundred": []}
    lines = bench.catalogue.read_text(encoding="utf-8").splitlines()
    changed = bench.folder / "changed.jsonl"
    salt = itertools.count()

    def counted(arm: str, **options: Any) -> float:
        report = bench.ingest(**options)
        calls[arm].append(report.encoder_calls)
        return report.docs_per_second

    def first() -> float:
        return counted("first")

    def unchanged() -> float:
        bench.ingest(index)
        return counted("unchanged", index=index)

    def one_in_a_hundred() -> float:
        bench.ingest(index)
        mark = next(salt)
        edited = list(lines)
        for at in random.sample(range(len(lines)), max(1, len(lines) // 100)):
            record = json.loads(edited[at])
            record["title"] = f"{record['title']} changed {mark}"
            edited[at] = json.dumps(record)
        changed.write_text("\n".join(edited) + "\n", encoding="utf-8")
        return counted("one in a hundred", index=index, catalogue=changed)

    table = measure(
        "ingest-again",
        {"first": first, "unchanged": unchanged, "one in a hundred": one_in_a_hundred},
        rounds=rounds,
        unit="documents/s",
    )
    table.target("unchanged", "first", at_least=20)
    table.figure("encoder calls, unchanged", max(calls["unchanged"]), {"<=": 0})
    table.figure(
        "encoder calls, one in a hundred / first",
        float(np.median(calls["one in a hundred"])) / float(np.median(calls["first"])),
        {"<=": 0.012 + 1 / float(np.median(calls["first"]))},
    )
    table.note(f"{count} products; a last call that is not full may come on top of the 1.2 %.")
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


def table_memory(bench: Bench, rounds: int) -> bool:
    """Peak memory of the command over ten thousand and a hundred thousand records."""
    catalogues = {count: written(bench.folder / f"{count}.jsonl", count) for count in (10_000, 100_000)}

    def peak(count: int) -> float:
        out = subprocess.run(
            [
                *(sys.executable, "-c", MEASURE, "ingest", str(catalogues[count]), "--index", bench.fresh()),
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
        {"10,000 records": lambda: peak(10_000), "100,000 records": lambda: peak(100_000)},
        rounds=rounds,
        unit="MB",
        warm_up=0,
    )
    table.target("100,000 records", "10,000 records", at_most=1.1)
    table.figure("peak, MB", float(np.max(table.figures["100,000 records"])), {"<=": 400})
    return table.finish()


def written(path: Path, count: int) -> Path:
    """A catalogue of texts alone."""
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--table", choices=["ingest", "stub", "bulk", "again", "memory"], required=True)
    parser.add_argument("--opensearch", help="a node with k-NN; else one is started")
    parser.add_argument("--triton", help="HOST:PORT of a real encoder, for --table ingest")
    parser.add_argument("--catalogue", type=Path, help="for --table ingest")
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    if asked.table == "ingest" and not (asked.triton and asked.catalogue):
        parser.error("expected --triton and --catalogue for the table ingest")
    with tempfile.TemporaryDirectory() as name, node(asked.opensearch) as url:
        folder = Path(name)
        if asked.table == "ingest":
            bench = Bench(url, asked.triton, folder, asked.catalogue)
            met = table_ingest(bench, asked.rounds, "ingest", {"slower half": 0.9, "stock shape": 3.0})
            bench.drop()
            return 0 if met else 1
        with stub(0.001 if asked.table == "stub" else 0.0) as triton:
            bench = Bench(url, triton, folder, written(folder / "catalogue.jsonl", asked.documents))
            if asked.table == "stub":
                met = table_ingest(bench, asked.rounds, "ingest-stub", {"stock shape": 10.0})
            elif asked.table == "bulk":
                met = table_bulk(bench, asked.rounds, asked.documents, graph=False)
                met = table_bulk(bench, asked.rounds, asked.documents, graph=True) and met
            elif asked.table == "again":
                met = table_again(bench, asked.rounds, asked.documents)
            else:
                met = table_memory(bench, asked.rounds)
            bench.drop()
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
