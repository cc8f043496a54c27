"""500 deep hybrids at once on a node with a heap of a gigabyte: answers or refusals, and the node lives."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mmsearch.stack import embedded
from mmsearch.stack.state import Home

from ..fakes.asking import ask
from ..fakes.small_vectors import make_index
from ..fakes.stub_encoder import StubEncoder

pytestmark = [pytest.mark.integration, pytest.mark.slow]
CLIENTS = 500
PRODUCTS = 24_000
WINDOW = 10_000
SHARDS = (1, 3)
REFUSALS = ("circuit_breaking_exception", "rejected_execution_exception")


@dataclass(frozen=True)
class Node:
    url: str
    home: Home

    @property
    def pid(self) -> int:
        (process,) = ask(self.url, "GET", "/_nodes/_local/process")["nodes"].values()
        return int(process["process"]["id"])

    @property
    def log(self) -> Path:
        return self.home.log("opensearch")

    def breaker(self) -> dict[str, int]:
        """Ours, of the node's statistics."""
        (node,) = ask(self.url, "GET", "/_nodes/_local/stats/breaker")["nodes"].values()
        return dict(node["breakers"]["mmsearch"])


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    home = Home.at(tmp_path_factory.mktemp("breaker") / "home")
    with StubEncoder() as encoder:
        settings = {"mmsearch.triton.endpoints": [encoder.url], "mmsearch.triton.timeout": "60s"}
        with embedded.borrowed(home, ("opensearch",), heap="1g", settings=settings) as ports:
            made = Node(f"http://127.0.0.1:{ports.http}", home)
            for shards in SHARDS:
                make_index(made.url, f"shop{shards}", PRODUCTS, number_of_shards=shards)
            yield made


def hybrid(client: int) -> dict[str, Any]:
    """Ten legs that each fill the window, each with other products than its neighbour."""
    ranges = [
        {"function_score": {"query": {"range": {"number": {"gte": 2_000 * leg}}}, "boost": 1 + leg}}
        for leg in range(5)
    ]
    vectors = [
        {"neural": {"embedding": {"query_text": "x" * (12 * leg + client % 6 + 1), "k": WINDOW}}}
        for leg in range(5)
    ]
    body: dict[str, Any] = {"query": {"hybrid": {"queries": ranges + vectors, "pagination_depth": WINDOW}}}
    # In turn one search, and two rounds where there are several shards.
    return body | ({"aggs": {"n": {"max": {"field": "number"}}}} if client % 2 else {})


def answer(url: str, shards: int, client: int) -> tuple[int, str]:
    """The status, and the kind of the error."""
    request = urllib.request.Request(
        f"{url}/shop{shards}/_search",
        json.dumps(hybrid(client)).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=600) as whole:
            found = json.loads(whole.read())
    except urllib.error.HTTPError as refused:
        error = json.loads(refused.read())["error"]
        causes = [error, *error.get("root_cause", ()), error.get("caused_by") or {}]
        causes += [each["reason"] for each in error.get("failed_shards", ())]
        kinds = [each["type"] for each in causes if each.get("type") in REFUSALS]
        return refused.code, kinds[0] if kinds else json.dumps(error)[:500]
    assert len(found["hits"]["hits"]) == 10
    return 200, "" if not found["_shards"]["failed"] else "failed shards"


@pytest.mark.parametrize("shards", SHARDS)
def test_deep_hybrids_at_once_are_answered_or_refused(node: Node, shards: int) -> None:
    pid = node.pid
    before = node.breaker()
    assert before["estimated_size_in_bytes"] == 0
    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = Counter(clients.map(lambda client: answer(node.url, shards, client), range(CLIENTS)))
    after = node.breaker()
    print(f"\n{shards} shards: {dict(answers)}, tripped {after['tripped'] - before['tripped']}")
    assert answers.keys() <= {(200, ""), *((429, kind) for kind in REFUSALS)}, answers
    assert answers[200, ""] > 0
    assert after["estimated_size_in_bytes"] == 0
    assert answer(node.url, shards, 0) == (200, "")
    assert node.pid == pid
    assert "OutOfMemoryError" not in node.log.read_text(encoding="utf-8", errors="replace")
