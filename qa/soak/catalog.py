"""Searches at a steady rate while a catalog is ingested again and again, on real servers: `make soak`.

    .venv/bin/python qa soak [--minutes 30] [--rate 10] [--name soak] [--short]

Each pass of the ingest has other prices and a few other titles. The run is passed when no search and no
ingest fails, and when neither resident memory, threads nor open files of OpenSearch and Triton rise by more
than 2 % over it; its first fifth is warm-up. The rise is that of the Theil-Sen line (median of the slopes
between all pairs of samples), which a single collection of garbage does not move. In a run of less than 20
minutes, in which a JVM is still getting warm, the rises are shown and not judged.
"""

from __future__ import annotations

import itertools
import json
import random
import statistics
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from measuring.interleaved import Table
from measuring.options import Options
from measuring.real_node import MMSEARCH, Both, Client, both, family, say
from sample_data.furniture import write_catalog

from mmsearch.config import cache_folder
from mmsearch.stack.state import Ports

MEASURED = ("resident MB", "threads", "open files")
BESIDE = "own MB"
"""measured too, and not judged"""
EVERY = 5.0
"""seconds between two samples"""
WARM_UP = 0.2
"""share of the run that is not judged"""
RISE = 0.02
"""the most that a figure may rise over the judged part"""
JUDGED = 20.0
"""minutes from which on the rises are judged"""
EDITED = 0.02
"""share of the products with another title in each pass"""


def rise(values: Sequence[float]) -> float:
    """How much they rise over the judged part, by the median of the slopes, relative to their median."""
    judged = values[int(WARM_UP * len(values)) :]
    if len(judged) < 2:
        return 0.0
    slopes = [(b - a) / (j - i) for (i, a), (j, b) in itertools.combinations(enumerate(judged), 2)]
    return statistics.median(slopes) * (len(judged) - 1) / statistics.median(judged)


def resources(process: psutil.Process) -> tuple[float, int, int, float]:
    """A process's resident memory in MB, its threads, its open files, and its memory without shared pages."""
    memory = process.memory_info()
    own = (memory.rss - memory.shared) / 2**20
    return memory.rss / 2**20, process.num_threads(), process.num_fds(), own


@dataclass
class Watched:
    """What one server's process and those below it were seen with: a row each EVERY seconds, of MEASURED
    and BESIDE."""

    pid: int
    samples: list[tuple[float, ...]] = field(default_factory=list)

    def sample(self) -> None:
        rows = [resources(process) for process in family(self.pid)]
        self.samples.append(tuple(sum(column) for column in zip(*rows, strict=True)))

    def rise(self, measured: str) -> float:
        """How much it rises."""
        return rise([row[(*MEASURED, BESIDE).index(measured)] for row in self.samples])


class Shoppers:
    """Searches at a rate: by words, by meaning, and by both, each with words of a title."""

    def __init__(self, url: str, index: str, titles: list[str]) -> None:
        self.url = url
        self.index = index
        self.titles = titles
        self.outcomes: Counter[str] = Counter()
        self.own = threading.local()
        self.draw = random.Random(11)

    def body(self, number: int) -> dict[str, Any]:
        words = f"{self.draw.choice(self.titles)} {number}"
        lexical = {"match": {"title": words}}
        dense = {"neural": {"embedding": {"query_text": words, "k": 50}}}
        return {
            "query": (lexical, dense, {"hybrid": {"queries": [lexical, dense]}})[number % 3],
            "size": 10,
            "aggs": {"categories": {"terms": {"field": "category.keyword"}}},
        }

    def ask(self, body: dict[str, Any]) -> None:
        try:
            if not hasattr(self.own, "client"):
                self.own.client = Client(self.url)
            answer = json.loads(
                self.own.client.call("POST", f"/{self.index}/_search", json.dumps(body).encode())
            )
            whole = answer["_shards"]["failed"] == 0 and not answer["timed_out"]
            self.outcomes["answered" if whole else "part of it missing"] += 1
        except (OSError, RuntimeError) as e:
            del self.own.client
            self.outcomes[str(e)[:200]] += 1

    def run(self, rate: float, until: float) -> None:
        with ThreadPoolExecutor(8) as pool:
            due = time.monotonic()
            for number in itertools.count():
                if due > until:
                    return
                time.sleep(max(0.0, due - time.monotonic()))
                pool.submit(self.ask, self.body(number))
                due += 1 / rate


def edited(catalog: Path, number: int) -> None:
    """The catalog with other prices throughout, and with some other titles."""
    draw = random.Random(number)
    products = [json.loads(line) for line in catalog.read_text(encoding="utf-8").splitlines()]
    for product in products:
        product["price"] = draw.randint(1, 500)
        if draw.random() < EDITED:
            product["title"] = f"{product['title'].split(' pass ')[0]} pass {number}"
    catalog.write_text("".join(json.dumps(product) + "\n" for product in products), encoding="utf-8")


def ingest_again_and_again(catalog: Path, ports: Ports, until: float) -> Counter[str]:
    """Passes of `mmsearch ingest`, each with a pause as long as itself; how they ended."""
    outcomes: Counter[str] = Counter()
    command = [
        MMSEARCH,
        "ingest",
        str(catalog),
        f"--opensearch=http://127.0.0.1:{ports.http}",
        f"--triton=127.0.0.1:{ports.triton_grpc}",
    ]
    for number in itertools.count():
        began = time.monotonic()
        edited(catalog, number)
        ended = subprocess.run(command, cwd=catalog.parent, capture_output=True, text=True, check=False)
        outcomes["ended well" if ended.returncode == 0 else ended.stderr[-300:]] += 1
        if time.monotonic() > until:
            return outcomes
        time.sleep(time.monotonic() - began)
    raise AssertionError("count does not end")


def soak(servers: Both, catalog: Path, minutes: float, rate: float, name: str) -> Table:
    """The run itself, and its table."""
    titles = [json.loads(line)["title"] for line in catalog.read_text(encoding="utf-8").splitlines()]
    watched = {server: Watched(pid) for server, pid in servers.pids.items()}
    say("the first ingest")
    first = ingest_again_and_again(catalog, servers.ports, time.monotonic())
    if first.total() != first["ended well"]:
        raise RuntimeError(f"expected the first ingest to end well, got {dict(first)}")
    until = time.monotonic() + 60 * minutes
    shoppers = Shoppers(servers.url, "products", titles)
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(shoppers.run, rate, until)
        ingested = pool.submit(ingest_again_and_again, catalog, servers.ports, until)
        while time.monotonic() < until:
            for one in watched.values():
                one.sample()
            time.sleep(EVERY)
        asked.result()
        passes = ingested.result()
    figures = {
        f"{server}, {what}": [row[i] for row in one.samples]
        for server, one in watched.items()
        for i, what in enumerate((*MEASURED, BESIDE))
    }
    table = Table(name, "as named", figures)
    failed = sum(count for outcome, count in shoppers.outcomes.items() if outcome != "answered")
    table.figure(f"searches that failed, of {shoppers.outcomes.total()}", failed, {"<=": 0})
    broken = sum(count for outcome, count in passes.items() if outcome != "ended well")
    table.figure(f"ingests that failed, of {passes.total()}", broken, {"<=": 0})
    for server, one in watched.items():
        for what in MEASURED:
            bound = {"<=": RISE if minutes >= JUDGED else None}
            table.figure(f"rise of {server}'s {what}", one.rise(what), bound)
        table.figure(f"rise of {server}'s {BESIDE}", one.rise(BESIDE), {})
    searches, ingests = shoppers.outcomes.total(), passes.total()
    table.note(f"{minutes:g} minutes, {searches} searches at {rate:g} a second, {ingests} ingests.")
    table.note("Triton's towers fill their cache of features, up to 128 MiB each, during the run.")
    for outcome in [*shoppers.outcomes, *passes]:
        if outcome not in {"answered", "ended well"}:
            table.note(outcome)
    return table


def main() -> int:
    parser = Options(__doc__, minutes=(30.0, 0.5), rate=(10.0, 10.0))
    parser.add_argument("--name", default="soak", help="of the table")
    asked = parser.parse()
    with both() as servers:
        catalog = write_catalog(servers.folder / "catalog", cache_folder())
        table = soak(servers, catalog, asked.minutes, asked.rate, asked.name)
    return 0 if table.finish() else 1
