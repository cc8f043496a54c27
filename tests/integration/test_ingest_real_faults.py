"""Real servers and the run itself killed with `kill -9` in the middle of an ingest: nothing is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmsearch.stack import embedded
from mmsearch.stack.processes import myself
from mmsearch.stack.state import Home

from ..fakes.asking import ask

pytestmark = [pytest.mark.integration, pytest.mark.slow]
PRODUCTS = 6_000
ROUNDS = 3
COLOURS = ("red", "blue", "green", "black", "white")
THINGS = ("chair", "lamp", "table", "vase", "rug", "shelf", "clock")
SAME = 0.9999
"""cosine; what a text is batched with moves its vector by rounding alone"""


class Servers:
    """A node and a Triton of this file's own, which their supervisors bring back when they die."""

    def __init__(self, home: Home) -> None:
        self.home = home
        ports = home.ports()
        assert ports is not None
        self.url = f"http://127.0.0.1:{ports.http}"
        self.environment = {
            **os.environ,
            "MMSEARCH_OPENSEARCH": self.url,
            "MMSEARCH_TRITON": f"127.0.0.1:{ports.triton_grpc}",
            "MMSEARCH_HOME": str(home.folder),
            "MMSEARCH_CACHE": str(home.folder / "cache"),
        }

    def start(self, catalog: Path, index: str) -> subprocess.Popen[str]:
        """The command in a process of its own."""
        code = "from mmsearch.cli.main import main; main()"
        return subprocess.Popen(
            [
                sys.executable,
                "-c",
                code,
                "ingest",
                str(catalog),
                "--index",
                index,
                "--json",
                "--batch",
                "8",
            ],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill(self, name: str) -> None:
        """`kill -9`; the supervisor starts it again."""
        running = self.home.running(name)
        assert running is not None
        assert running.child is not None
        running.child.send(signal.SIGKILL)
        assert running.child.wait(5)

    def written(self, index: str) -> int:
        """How many writes the node has taken since it started; -1 while it is away."""
        try:
            return int(
                ask(self.url, "GET", f"/{index}/_stats/indexing")["_all"]["primaries"]["indexing"][
                    "index_total"
                ]
            )
        except (urllib.error.URLError, ConnectionError, KeyError, TimeoutError):
            return -1

    def documents(self, index: str) -> dict[str, Any]:
        """Every product with its vector."""
        ask(self.url, "POST", f"/{index}/_refresh")
        found: dict[str, Any] = {}
        after: list[Any] = []
        while True:
            body = {"size": 1000, "sort": ["price"], "_source": ["*"]} | (
                {"search_after": after} if after else {}
            )
            hits = ask(self.url, "POST", f"/{index}/_search", body)["hits"]["hits"]
            if not hits:
                return found
            found |= {hit["_id"]: hit["_source"] for hit in hits}
            after = hits[-1]["sort"]


@pytest.fixture
def servers(tmp_path: Path, build_models: Callable[[Home], None]) -> Iterator[Servers]:
    home = Home.at(tmp_path / "home")
    build_models(home)
    with embedded.borrowed(home, heap="512m"):
        yield Servers(home)


def test_killed_servers_and_killed_runs_leave_what_an_undisturbed_run_leaves(
    servers: Servers, tmp_path: Path
) -> None:
    chance = random.Random(5)
    catalog = tmp_path / "catalog.jsonl"
    lines = [
        {"id": f"p{n}", "title": f"{chance.choice(COLOURS)} {chance.choice(THINGS)} number {n}", "price": n}
        for n in range(PRODUCTS)
    ]

    def write() -> None:
        catalog.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    write()
    events = ["opensearch", "triton", "run"] * ROUNDS
    chance.shuffle(events)
    run = servers.start(catalog, "disturbed")
    waited: dict[str, float] = {}
    for number, event in enumerate(events):
        if run.poll() is not None:
            # All is in: other titles for a part, so that there is something to disturb.
            _, err = run.communicate()
            assert run.returncode == 0, err
            for line in chance.sample(lines, PRODUCTS // 3):
                line["title"] = f"{line['title']} again"
            write()
            run = servers.start(catalog, "disturbed")
        moves(servers, run, chance.randrange(1, PRODUCTS // 20))
        if event == "run":
            run.kill()
            run.communicate(timeout=30)
            run = servers.start(catalog, "disturbed")
            continue
        servers.kill(event)
        # Back by the supervisor's hand; then the run goes on by its own.
        embedded.up(servers.home, embedded.Wanted(servers=(event,), while_alive=myself()), lambda _: None)
        waited[f"{number} {event}"] = moves(servers, run, 1)
    out, err = run.communicate(timeout=300)
    assert run.returncode == 0, err
    assert json.loads(out)["indexed"] == PRODUCTS

    calm = servers.start(catalog, "calm")
    out, err = calm.communicate(timeout=300)
    assert calm.returncode == 0, err
    expected, got = servers.documents("calm"), servers.documents("disturbed")
    print(f"\n{len(events)} kills in {PRODUCTS} products, goes on after {max(waited.values()):.1f} s at most")
    assert got.keys() == expected.keys() == {f"p{n}" for n in range(PRODUCTS)}
    cosines = []
    for key, source in got.items():
        vector, other = (np.array(each.pop("embedding"), np.float32) for each in (source, expected[key]))
        cosines.append(float(vector @ other / np.linalg.norm(vector) / np.linalg.norm(other)))
        for each in (source, expected[key]):
            each.pop("ingest", None)
        assert source == expected[key]
    assert min(cosines) > SAME


def moves(servers: Servers, run: subprocess.Popen[str], count: int) -> float:
    """Wait until the run has written so many more, or has ended; seconds."""
    began, had = time.monotonic(), servers.written("disturbed")
    while servers.written("disturbed") < had + count and run.poll() is None:
        assert time.monotonic() < began + 60, f"expected {count} more writes, got none within a minute"
        time.sleep(0.02)
    return time.monotonic() - began
