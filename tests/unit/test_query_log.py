"""The log's documents: one a search, a leg, an ingest, a reason of rejects, a stage of the encoder."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mmsearch.errors import MmsearchError
from mmsearch.search.query_log import FIELDS, asked, mapping, of_ingest, of_rejects, of_search, of_stats

WHEN = datetime(2025, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
STAMP = "2025-01-02T03:04:05.678+00:00"


def leg(name: str, rank: int, only: bool = False) -> dict[str, Any]:
    return {"name": name, "rank": rank, "score": 1.0, "normalized": 1.0, **({"only": True} if only else {})}


def test_a_search_and_its_legs() -> None:
    hits = [
        {"_id": "a", "fields": {"_legs": [leg("dense", 2), leg("lexical", 1)]}},
        {"_id": "b", "fields": {"_legs": [leg("dense", 1, only=True)]}},
        {"_id": "c"},
    ]
    answer = {"took": 7, "hits": {"hits": hits}}
    documents = of_search(answer, query="chair", modality="text", mode="hybrid", index="products", when=WHEN)
    assert documents[0] == {
        "@timestamp": STAMP,
        "kind": "query",
        "query": "chair",
        "modality": "text",
        "mode": "hybrid",
        "index": "products",
        "took_ms": 7.0,
        "hits": 3,
        "zero_results": False,
        "degraded": False,
        "degraded_legs": [],
    }
    assert [(each["leg"], each["found"], each["only"], each["best_rank"]) for each in documents[1:]] == [
        ("dense", 2, 1, 1),
        ("lexical", 1, 0, 1),
    ]


@pytest.mark.parametrize(
    ("text", "picture", "like", "modality", "query"),
    [
        ("chair", "", "", "text", "chair"),
        ("chair", "QUI=", "", "both", "chair"),
        ("", "QUI=", "", "picture", ""),
        ("", "", "p7", "like", "p7"),
    ],
)
def test_how_it_was_asked(text: str, picture: str, like: str, modality: str, query: str) -> None:
    assert asked(text=text, picture=picture, like=like) == (query, modality)


def test_nothing_found_and_a_leg_that_was_skipped() -> None:
    answer = {
        "took": 1,
        "hits": {"hits": []},
        "ext": {"mmsearch": {"degraded": [{"leg": "dense", "reason": "encoder down"}]}},
    }
    (document,) = of_search(answer, query="x", modality="text", mode="hybrid", index="p", when=WHEN)
    assert (document["zero_results"], document["degraded"], document["degraded_legs"]) == (
        True,
        True,
        ["dense"],
    )


def test_an_ingest_and_its_rejects() -> None:
    document = of_ingest({"read": 5, "rejected": 2, "bottleneck": "encode", "novel": 1}, index="p", when=WHEN)
    assert document == {
        "@timestamp": STAMP,
        "kind": "ingest",
        "index": "p",
        "read": 5,
        "rejected": 2,
        "bottleneck": "encode",
    }
    lines = [b'{"stage": "image", "reason": "not_found"}', b'{"stage": "read", "reason": "not_json"}'] * 2
    counted = [
        (each["stage"], each["reason"], each["count"]) for each in of_rejects(lines, index="p", when=WHEN)
    ]
    assert counted == [("image", "not_found", 2), ("read", "not_json", 2)]
    with pytest.raises(MmsearchError, match="got another line 2"):
        of_rejects([lines[0], b"{}"], index="p")


def test_the_encoder_by_stage() -> None:
    latency = {"call": {"count": 3, "p50_ms": 2.5, "p99_ms": 9.0, "sum_ms": 12, "buckets": {}}}
    node = {"name": "n1", "encoder": {"latency": latency, "cache": {"hits": 4, "misses": 3}}}
    (document,) = of_stats({"nodes": {"id": node}}, WHEN)
    assert document == {
        "@timestamp": STAMP,
        "kind": "encoder",
        "node": "n1",
        "stage": "call",
        "count": 3,
        "p50_ms": 2.5,
        "p99_ms": 9.0,
        "cache_hits": 4,
        "cache_misses": 3,
    }


def test_the_mapping_knows_every_field_and_no_other() -> None:
    mappings = mapping()["mappings"]
    assert mappings["dynamic"] == "strict"
    assert set(mappings["properties"]) == set(FIELDS)
