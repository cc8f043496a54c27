"""Where the time goes: ingest by py-spy, the node under neural and hybrid load by JFR.

    .venv/bin/python bench profiles [--seconds 20] [--short]

`--seconds` are those of each load, after as many to get warm.

The servers are real, the encoder too; the catalog is the furniture.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from measuring.interleaved import Table
from measuring.options import Options
from measuring.peers import program
from measuring.real_node import MMSEARCH, Client, both, family, processor_seconds
from sample_data.furniture import write_catalog

from mmsearch.config import cache_folder
from mmsearch.stack.state import Ports

CLIENTS = 4
LINES = 12
# The method nearest to the top of a stack that belongs to one of these says whose time it is.
OWNERS = {
    "org.mmsearch.": "mmsearch's plugin",
    "org.opensearch.knn.": "k-NN",
    "org.apache.lucene.": "Lucene",
    "io.netty.": "Netty",
    "org.opensearch.": "OpenSearch",
}


def frequent(counts: Counter[str]) -> str:
    """The most frequent, with their share."""
    whole = counts.total()
    return ", ".join(f"{100 * count / whole:.1f} % {name}" for name, count in counts.most_common(LINES))


def ingest(catalog: Path, ports: Ports, servers: dict[str, int], spy: Path | None) -> Table:
    """The ordinary command, sampled from outside, and what each process has spent."""
    command = [
        MMSEARCH,
        "ingest",
        str(catalog),
        *("--json", f"--opensearch=http://127.0.0.1:{ports.http}", f"--triton=127.0.0.1:{ports.triton_grpc}"),
    ]
    stacks = catalog.with_name("ingest.raw")
    sampled = [str(spy), "record", "-f", "raw", "-r", "100", "--subprocesses", "-o", str(stacks), "--"]
    before = {name: processor_seconds([pid]) for name, pid in servers.items()}
    times, began = os.times(), time.perf_counter()
    done = subprocess.run(
        [*(sampled if spy else ()), *command],
        cwd=catalog.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    wall, spent = time.perf_counter() - began, os.times()
    said = next(line for line in done.stdout.splitlines() if line.startswith("{"))
    count = json.loads(said)["indexed"]
    costs = {name: processor_seconds([pid]) - before[name] for name, pid in servers.items()}
    own = spent.children_user + spent.children_system - times.children_user - times.children_system
    costs["client" + (", py-spy with it" if spy else "")] = own
    table = Table("profile-ingest", "", {})
    table.figure(f"seconds for {count} products", wall, {})
    for name, cost in costs.items():
        table.figure(f"processor ms a product: {name}", 1000 * cost / count, {})
    table.figure("cores busy", sum(costs.values()) / wall, {})
    if spy:
        table.note(f"The client's functions on a processor: {frequent(by_function(stacks))}.")
    return table


def by_function(stacks: Path) -> Counter[str]:
    """py-spy's collapsed stacks, by the innermost function."""
    counts: Counter[str] = Counter()
    for line in stacks.read_text(encoding="utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        innermost = stack.rsplit(";", 1)[-1]
        if not innermost.startswith("process "):  # a process with no Python on its stack yet
            counts[innermost] += int(count)
    return counts


class Load:
    """CLIENTS clients that ask one kind of query without a pause, each text a new one."""

    def __init__(self, url: str, kind: str, titles: list[str]) -> None:
        self.url, self.kind, self.titles = url, kind, titles
        self.numbers = itertools.count()
        self.over = threading.Event()
        self.times: list[float] = []
        self.threads = [threading.Thread(target=self._ask, args=(seed,)) for seed in range(CLIENTS)]

    def _ask(self, seed: int) -> None:
        client, draw = Client(self.url), random.Random(seed)
        while not self.over.is_set():
            words = f"{draw.choice(self.titles)} {next(self.numbers)} {seed}"
            lexical = {"match": {"title": words}}
            dense = {"neural": {"embedding": {"query_text": words, "k": 100}}}
            hybrid = {"hybrid": {"queries": [lexical, dense], "pagination_depth": 100}}
            query: Any = {"neural": dense, "hybrid": hybrid}[self.kind]
            body = json.dumps({"size": 10, "_source": ["title"], "query": query}).encode()
            began = time.perf_counter()
            client.call("POST", "/products/_search", body)
            self.times.append(time.perf_counter() - began)

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *what: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()


def searches(
    url: str, kind: str, titles: list[str], servers: dict[str, int], seconds: float, records: Path
) -> Table:
    """The node by JFR while it is asked."""
    pid = java_of(servers["opensearch"])
    recording = records / f"{kind}.jfr"
    with Load(url, kind, titles) as load:
        time.sleep(seconds)  # its compiler
        asked = len(load.times)
        before = {name: processor_seconds([each]) for name, each in servers.items()}
        client = time.process_time()
        jcmd(pid, "JFR.start", f"name={kind}", "settings=profile")
        time.sleep(seconds)
        count = len(load.times) - asked
        costs = {name: processor_seconds([each]) - before[name] for name, each in servers.items()}
        costs["the clients"] = time.process_time() - client
        stopped = jcmd(pid, "JFR.stop", f"name={kind}", f"filename={recording}")
    times = sorted(load.times[asked : asked + count])
    table = Table(f"profile-node-{kind}", "", {})
    table.figure(f"queries a second of {CLIENTS} clients", count / seconds, {})
    table.figure("p50, ms", 1000 * times[count // 2], {})
    table.figure("p99, ms", 1000 * times[int(0.99 * count)], {})
    for name, cost in costs.items():
        table.figure(f"processor ms a query: {name}", 1000 * cost / count, {})
    if recording.is_file():
        by_method(Path(psutil.Process(pid).exe()).with_name("jfr"), recording, table)
        recording.unlink()
    else:
        table.note(f"No recording: {stopped[:300]}")
    return table


def java_of(pid: int) -> int:
    """The node's own process among those below the one that was started."""
    javas = [each for each in family(pid) if each.name() == "java"]
    return max(javas, key=lambda each: each.memory_info().rss).pid


def jcmd(pid: int, *words: str) -> str:
    """A command to the node's Java, by the account it runs as."""
    java, owner = psutil.Process(pid), psutil.Process(pid).username()
    command = [str(Path(java.exe()).with_name("jcmd")), str(pid), *words]
    if owner != psutil.Process().username():
        command = ["runuser", "-u", owner, "--", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def by_method(jfr: Path, recording: Path, table: Table) -> None:
    """JFR's samples of running Java, by owner and by the innermost method, into the table."""
    done = subprocess.run(
        [str(jfr), "print", "--events", "jdk.ExecutionSample", "--stack-depth", "40", str(recording)],
        capture_output=True,
        text=True,
        check=True,
    )
    owners: Counter[str] = Counter()
    methods: Counter[str] = Counter()
    for event in done.stdout.split("jdk.ExecutionSample {")[1:]:
        frames = re.findall(r"^\s{4,}([\w.$<>]+)\(.*?line:", event, re.MULTILINE)
        if not frames:
            continue
        methods[frames[0]] += 1
        owners[next((o for f in frames for p, o in OWNERS.items() if f.startswith(p)), "the JDK")] += 1
    for name, number in owners.most_common():
        table.figure(f"% of the node's samples: {name}", 100 * number / owners.total(), {})
    table.note(f"{methods.total()} samples, by the innermost method: {frequent(methods)}.")


def main() -> int:
    asked = Options(__doc__, seconds=(20.0, 3.0)).parse()
    with both() as servers:
        catalog = write_catalog(servers.folder / "catalog", cache_folder())
        records = servers.folder / "records"
        records.mkdir()
        records.chmod(0o777)  # for the node's account
        titles = [json.loads(line)["title"] for line in catalog.read_text(encoding="utf-8").splitlines()]
        ingest(catalog, servers.ports, servers.pids, program("py-spy")).finish()
        for kind in ("neural", "hybrid"):
            searches(servers.url, kind, titles, servers.pids, asked.seconds, records).finish()
    return 0
