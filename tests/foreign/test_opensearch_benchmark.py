"""What has to come of `benchmark/workload.json`: opensearch-benchmark over an index that it fills itself."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from . import installed
from .shop import Shop

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.foreign]
OWN = "foreign-benchmark"
DOCUMENTS = 1000


@contextmanager
def alone() -> Iterator[None]:
    """One benchmark at a time on a machine: its processes meet on one port, 1900, whoever started them."""
    with Path(tempfile.gettempdir(), f"mmsearch-benchmark-{os.getuid()}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def workload(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workload with its index, which is the shop's, and its documents, the shop's over and over."""
    folder = tmp_path_factory.mktemp("workload")
    shutil.copy(installed.HERE / "benchmark" / "workload.json", folder)
    (folder / "index.json").write_text(json.dumps(shop.like_this(shards=2)), encoding="utf-8")
    sources = [hit["_source"] for hit in shop.hits({"size": 820, "_source": True})]
    lines = [json.dumps(sources[number % len(sources)]) for number in range(DOCUMENTS)]
    # Of test mode: the first thousand of a corpus.
    (folder / "documents-1k.json").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def stats(shop: Shop) -> dict[str, int]:
    return hybrids(shop)


def hybrids(shop: Shop) -> dict[str, int]:
    """How many hybrids the node has answered, by the way."""
    (node,) = shop.ask("GET", "/_plugins/_mmsearch/stats")["nodes"].values()
    return {way: node["hybrid"][way] for way in ("in_shard", "one_search", "two_rounds", "point_in_time")}


@pytest.fixture(scope="module")
def results(
    shop: Shop,
    workload: Path,
    stats: dict[str, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    program = installed.benchmark().with_name("opensearch-benchmark")
    home = tmp_path_factory.mktemp("benchmark")
    table = home / "results.csv"
    command = [
        *(program, "run", "--pipeline=benchmark-only", "--offline", "--test-mode"),
        *(f"--workload-path={workload}", f"--target-hosts={shop.url.removeprefix('http://')}"),
        *("--enable-assertions", "--on-error=abort", "--results-format=csv", f"--results-file={table}"),
    ]
    with alone():
        done = subprocess.run(
            command,
            cwd=home,
            env=installed.local(HOME=str(home), BENCHMARK_HOME=str(home)),
            capture_output=True,
            text=True,
            timeout=600,
        )
    log = (home / ".osb" / "logs" / "benchmark.log").read_text(encoding="utf-8")
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{log[-4000:]}"
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {"rows": rows, "log": log, "said": done.stdout}


TASKS = ("fill", "neural", "hybrid", "hybrid-of-a-pipeline", "hybrid-with-facets", "hybrid-profiled")


@pytest.mark.parametrize("task", TASKS)
def test_no_request_of_a_task_fails(results: dict[str, Any], task: str) -> None:
    rates = {row["Task"]: row["Value"] for row in results["rows"] if row["Metric"] == "error rate"}
    assert rates[task] == "0.00"


def test_the_benchmark_succeeds_and_reads_the_profiles(results: dict[str, Any]) -> None:
    # With assertions on: each search had as many hits as the workload says.
    assert "SUCCESS" in results["said"]
    assert "get_profile_metrics threw an error" not in results["log"]


def test_the_hybrids_were_answered_in_one_search_and_in_two_rounds(
    shop: Shop, results: dict[str, Any], stats: dict[str, int]
) -> None:
    assert len(shop.vectors(OWN)) == DOCUMENTS
    after = hybrids(shop)
    assert after["one_search"] > stats["one_search"]
    assert after["two_rounds"] > stats["two_rounds"]
    assert after["point_in_time"] == stats["point_in_time"]
