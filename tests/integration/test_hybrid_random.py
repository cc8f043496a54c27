"""Random hybrids on the real node against the slow reference, which is given the legs' own lists.

Indices of 1 to 5 shards, one copy, quiescent, exact k-NN; ties, empty legs, all techniques, weights, windows.
`MMSEARCH_SEED` repeats a run; the full size is 10,000 hybrids (marked slow), the short one 300.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import time
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from ..fakes.hybrid_reference import Leg, fused

pytestmark = pytest.mark.integration
DOCUMENTS = 160
WORDS = ["red", "blue", "oak", "chair", "table", "lamp", "small", "round"]


class Node:
    """One kept-alive connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=120)

    def ask(self, method: str, path: str, body: str) -> Any:
        self.connection.request(method, path, body.encode(), {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        answer = json.loads(response.read())
        assert response.status < 300, answer
        return answer

    def searches(self, index: str, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
        lines = [line for body in bodies for line in ("{}", json.dumps(body))]
        answers: list[dict[str, Any]] = self.ask("POST", f"/{index}/_msearch", "\n".join(lines) + "\n")[
            "responses"
        ]
        for body, answer in zip(bodies, answers, strict=True):
            assert answer["status"] == 200, (body, answer)
        return answers


def build(node: Node, index: str, shards: int, draw: random.Random) -> None:
    mapping = {
        "settings": {"index": {"knn": True, "number_of_shards": shards, "number_of_replicas": 0}},
        "mappings": {
            # As ingest names them; what it has not named stays in every answer.
            "_meta": {"mmsearch": {"version": 1, "fields": {"place": {"dimension": 3}}}},
            "properties": {
                "title": {"type": "text"},
                "price": {"type": "integer"},
                "place": {
                    "type": "knn_vector",
                    "dimension": 3,
                    "space_type": "l2",
                    "method": {"name": "hnsw", "engine": "lucene"},
                },
            },
        },
    }
    node.ask("PUT", f"/{index}", json.dumps(mapping))
    lines = []
    for number in range(DOCUMENTS):
        document = {
            "title": " ".join(draw.choices(WORDS, k=draw.randint(1, 4))),
            "price": draw.randint(1, 6),
            # Few places, so that many documents are equally near.
            "place": [draw.randint(0, 3) for _ in range(3)],
        }
        lines += [json.dumps({"index": {"_id": str(number)}}), json.dumps(document)]
    answer = node.ask("POST", f"/{index}/_bulk?refresh=true", "\n".join(lines) + "\n")
    assert not answer["errors"]


def leg(draw: random.Random) -> dict[str, Any]:
    kind = draw.choice(["match", "match", "knn", "knn", "price", "ties", "empty"])
    if kind == "match":
        return {"match": {"title": " ".join(draw.choices(WORDS, k=draw.randint(1, 3)))}}
    if kind == "knn":
        # k is more than a shard holds, which makes the search exact.
        return {"knn": {"place": {"vector": [draw.uniform(0, 3) for _ in range(3)], "k": 2 * DOCUMENTS}}}
    if kind == "price":
        return {"function_score": {"query": {"match_all": {}}, "field_value_factor": {"field": "price"}}}
    if kind == "ties":
        return {"constant_score": {"filter": {"range": {"price": {"gte": draw.randint(1, 7)}}}, "boost": 2}}
    return {"match_none": {}}


def fusion(draw: random.Random, legs: int) -> dict[str, Any]:
    technique = draw.choice(["arithmetic_mean", "geometric_mean", "harmonic_mean", "rrf"])
    combination: dict[str, Any] = {"technique": technique}
    if draw.random() < 0.6:
        parts = [draw.randint(1, 9) for _ in range(legs)]
        combination["parameters"] = {"weights": [part / sum(parts) for part in parts]}
    if technique == "rrf":
        combination["rank_constant"] = draw.choice([1, 10, 60])
        return {"combination": combination}
    known = ["min_max", "l2", "z_score"] if technique == "arithmetic_mean" else ["min_max", "l2"]
    return {"normalization": {"technique": draw.choice(known)}, "combination": combination}


def check(node: Node, index: str, draw: random.Random) -> str:
    """Ask one random hybrid and hold it against the reference; what is wrong, or nothing."""
    legs = [leg(draw) for _ in range(draw.randint(1, 5))]
    window = draw.choice([1, 5, 20, 100, 400])
    how = fusion(draw, len(legs))
    quiet = {"_source": False, "size": window}
    hybrid = {"hybrid": {"queries": legs, "pagination_depth": window, "fusion": how}}
    asked = [*({**quiet, "query": leg} for leg in legs), {"size": window, "query": hybrid}]
    *alone, whole = node.searches(index, asked)
    lists: list[Leg] = [
        [(hit["_id"], engine(hit["_score"])) for hit in answer["hits"]["hits"]] for answer in alone
    ]
    expected = fused(lists, how)
    found = {hit["_id"]: hit["_score"] for hit in whole["hits"]["hits"]}
    problem = differences(expected, found, window) or vectors(whole["hits"]["hits"])
    return problem and f"{problem}\n{json.dumps(hybrid)}"


def engine(score: float) -> float:
    """The 32-bit number that the engine had: its shortest decimals are off by up to 3e-8 of it, which min_max
    makes a thousandfold more where a window's scores are close."""
    return float(np.float32(score))


def differences(expected: dict[str, float], found: dict[str, float], window: int) -> str:
    """Scores are 32-bit in the engine; documents whose score is the one at the window's edge are compared as
    sets, which is: any of them may be there, so long as their number is right."""
    if len(found) != min(window, len(expected)):
        return f"expected {min(window, len(expected))} hits, got {len(found)}"
    for document, score in found.items():
        if score != pytest.approx(expected.get(document), rel=2e-5, abs=2e-6):
            return f"document {document}: expected {expected.get(document)}, got {score}"
    order = list(found.values())
    if order != sorted(order, reverse=True):
        return f"expected scores that fall, got {order}"
    if found:
        edge = min(found.values())
        missed = {d: s for d, s in expected.items() if d not in found and s > edge * (1 + 2e-5) + 2e-6}
        if missed:
            return f"expected {missed} above the window's edge {edge}"
    return ""


def vectors(hits: list[dict[str, Any]]) -> str:
    """A default answer has the document without its vector, by whichever way the hybrid ran."""
    shown = [hit["_id"] for hit in hits if hit["_source"].keys() != {"title", "price"}]
    return f"expected title and price in _source, got others in {shown}" if shown else ""


def run(url: str, hybrids: int, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get("MMSEARCH_SEED", time.time_ns() % 10**9))
    node = Node(url)
    draw = random.Random(seed)
    indices = [f"random-{seed}-{shards}" for shards in range(1, 6)]
    for shards, index in enumerate(indices, 1):
        build(node, index, shards, draw)
    try:
        wrong = [problem for n in range(hybrids) if (problem := check(node, indices[n % 5], draw))]
    finally:
        node.ask("DELETE", "/" + ",".join(indices), "")
        node.connection.close()
    with capsys.disabled():
        print(f"\n{hybrids} random hybrids on 1 to 5 shards, seed {seed}: {len(wrong)} differ")
    assert not wrong, f"MMSEARCH_SEED={seed}: {len(wrong)} of {hybrids} differ; the first: {wrong[0]}"


def test_the_reference_gives_pencil_numbers() -> None:
    legs: list[Leg] = [[("a", 4.0), ("b", 2.0), ("c", 0.0)], [("b", 0.5)]]
    means = fused(
        legs,
        {
            "normalization": {"technique": "min_max"},
            "combination": {"technique": "arithmetic_mean", "parameters": {"weights": [0.25, 0.75]}},
        },
    )
    assert means == pytest.approx({"a": 0.25, "b": 0.25 * 0.5 + 0.75, "c": 0.25 * 0.001})
    ranks = fused(legs, {"combination": {"technique": "rrf"}})
    assert ranks == pytest.approx({"a": 1 / 61, "b": 1 / 62 + 1 / 61, "c": 1 / 63})


def test_random_hybrids_are_what_the_reference_says(
    opensearch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run(opensearch.url, 300, capsys)


@pytest.mark.slow
def test_ten_thousand_random_hybrids(opensearch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run(opensearch.url, 10_000, capsys)
