"""Both clauses under the official security plugin: a user learns of what he may see, and of nothing else.

An index `shop` holds visible and hidden products; `visible` holds the visible ones alone.
A user whose role hides the others must get from `shop` what he gets from `visible`.
"""

from __future__ import annotations

import base64
import json
import math
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .secured import ADMIN, Role, Secured
from .stub_encoder import FINGERPRINT, MODEL, StubEncoder

pytestmark = [pytest.mark.integration, pytest.mark.slow]
VISIBLE, HIDDEN = 40, 50
SHARDS = (1, 3)
INDICES = ["shop1", "shop3", "visible1", "visible3"]


def _role(**rules: Any) -> Role:
    """`read` on the indices alone, and what only several requests in one need."""
    index = {"index_patterns": ["shop*", "visible*"], "allowed_actions": ["read"], **rules}
    return Role({"index_permissions": [index]})


def _with_msearch(role: Role) -> Role:
    return Role({**role.permissions, "cluster_permissions": ["cluster_composite_ops_ro"]})


ROLES = {
    "everything": _with_msearch(_role()),
    # `read` on the index and nothing besides.
    "reader": _role(dls='{"term": {"shown": true}}'),
    "several": _with_msearch(_role(dls='{"term": {"shown": true}}')),
    # Rules with a terms look-up change the request on the node that takes it, in place of the shard's query.
    "lookup": _with_msearch(
        Role(
            {
                "index_permissions": [
                    {
                        "index_patterns": ["shop*", "visible*"],
                        "allowed_actions": ["read"],
                        "dls": '{"terms": {"state": {"index": "grants", "id": "1", "path": "states"}}}',
                    },
                    {"index_patterns": ["grants"], "allowed_actions": ["read"]},
                ]
            }
        )
    ),
    "fields": _with_msearch(_role(fls=["~title", "~v"], masked_fields=["color"])),
}


def _product(number: int, shown: bool) -> dict[str, Any]:
    """Hidden products lie nearer to every query, and their titles say more often what is asked for."""
    angle = number / 200 if not shown else 0.8 + number / 100
    word = f"secret{number}" if not shown else f"open{number}"
    return {
        "title": ("chair " * (1 if shown else 3)) + word,
        "text": "chair",
        "shown": shown,
        "state": "shown" if shown else "hidden",
        "color": ("red", "blue", "green")[number % 3],
        "n": number if shown else 1000 + number,
        "v": [math.cos(angle), math.sin(angle)],
        "parts": [{"v": [math.cos(angle), math.sin(angle)]}],
    }


def _mapping(shards: int) -> dict[str, Any]:
    vector = {
        "type": "knn_vector",
        "dimension": 2,
        "space_type": "cosinesimil",
        "method": {"name": "hnsw", "engine": "lucene"},
    }
    encoder = {"model": MODEL, "model_version": "1", "fingerprint": FINGERPRINT, "dimension": 2}
    meta = {"v": {**encoder, "output": "EMBEDDING"}, "parts.v": {**encoder, "output": "EMBEDDING"}}
    return {
        "settings": {"index.knn": True, "number_of_shards": shards, "number_of_replicas": 0},
        "mappings": {
            "_meta": {"mmsearch": {"version": 1, "fields": meta}},
            "properties": {
                "title": {"type": "text"},
                "text": {"type": "text"},
                "state": {"type": "keyword"},
                "color": {"type": "keyword"},
                "n": {"type": "integer"},
                "v": vector,
                "parts": {"type": "nested", "properties": {"v": vector}},
            },
        },
    }


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with StubEncoder() as encoder:
        made = Secured(tmp_path_factory.mktemp("secured"), ROLES, encoder.url)
        try:
            made.wait()
            _fill(made)
            yield made
        finally:
            made.end()


def _fill(node: Secured) -> None:
    node.ask(ADMIN, "PUT", "/grants/_doc/1?refresh=true", {"states": ["shown"]})
    for shards in SHARDS:
        lines: list[str] = []
        for index in (f"shop{shards}", f"visible{shards}"):
            node.ask(ADMIN, "PUT", f"/{index}", _mapping(shards))
            for number in range(VISIBLE):
                lines += [json.dumps({"index": {"_index": index, "_id": f"s{number}"}})]
                lines += [json.dumps(_product(number, True))]
        for number in range(HIDDEN):
            lines += [json.dumps({"index": {"_index": f"shop{shards}", "_id": f"h{number}"}})]
            lines += [json.dumps(_product(number, False))]
        done = node.ask(ADMIN, "POST", "/_bulk?refresh=true", "\n".join(lines) + "\n")
        assert not done["errors"], done


def neural(**keys: Any) -> dict[str, Any]:
    return {"neural": {"v": {"query_text": "chair", **keys}}}


def hybrid(*queries: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"hybrid": {"queries": list(queries), **keys}}


TEXT = {"match": {"text": "chair"}}
CONSTANT = {"constant_score": {"filter": {"match": {"title": "chair"}}}}
NUMBER = {"function_score": {"query": {"match_all": {}}, "field_value_factor": {"field": "n"}}}
KNN = {"knn": {"v": {"vector": [1, 0], "k": 7}}}
DENSE = neural(k=7)
PICTURE = base64.b64encode(b"GIF89a\x02\x00\x03\x00").decode()
RRF = {"combination": {"technique": "rrf"}}
L2 = {
    "normalization": {"technique": "l2"},
    "combination": {
        "technique": "arithmetic_mean",
        "parameters": {"weights": [0.5, 0.5]},
    },
}
Z_SCORE = {"normalization": {"technique": "z_score"}}

NEURAL_KEYS = {
    "k": neural(k=5),
    "default k": neural(),
    "query_image": {"neural": {"v": {"query_image": PICTURE, "k": 5}}},
    "query_image_weight": neural(query_image=PICTURE, query_image_weight=0.5, k=5),
    "negative_text": neural(negative_text={"text": "a much longer text", "weight": 0.3}, k=5),
    "like": {"neural": {"v": {"like": {"_id": "s3"}, "k": 5}}},
    "like with a text": neural(like={"_id": "s3", "weight": 0.5}, k=5),
    "min_score": neural(min_score=0.9),
    "max_distance": neural(max_distance=0.2),
    "filter": neural(k=5, filter={"term": {"color": "red"}}),
    "method_parameters": neural(k=5, method_parameters={"ef_search": 50}),
    "rescore": neural(k=5, rescore={"oversample_factor": 2.0}),
    "model_id": neural(k=5, model_id=f"{MODEL}:1"),
    "boost": neural(k=5, boost=3),
    "_name": neural(k=5, _name="dense"),
    "cutoff relative_max": neural(k=20, cutoff={"relative_max": 0.98}),
    "cutoff gap": neural(k=20, cutoff={"gap": 0.9}),
    "cutoff min_score": neural(k=20, cutoff={"min_score": 0.95}),
    "expand_nested_docs": {
        "nested": {
            "path": "parts",
            "query": {"neural": {"parts.v": {"query_text": "chair", "k": 5, "expand_nested_docs": True}}},
        }
    },
}
HYBRID_KEYS = {
    "queries": hybrid(CONSTANT, DENSE, KNN, NUMBER),
    "pagination_depth": hybrid(CONSTANT, DENSE, pagination_depth=12),
    "a text leg": hybrid(TEXT, pagination_depth=12),
    "filter": hybrid(CONSTANT, DENSE, filter={"term": {"color": "red"}}),
    "fusion rrf": hybrid(NUMBER, DENSE, fusion=RRF),
    "fusion l2": hybrid(NUMBER, DENSE, fusion=L2),
    "fusion z_score": hybrid(NUMBER, DENSE, fusion=Z_SCORE),
    "cutoff": hybrid(NUMBER, DENSE, cutoff={"relative_max": 0.5, "gap": 0.5, "min_score": 0.01}),
    "totals": hybrid(NUMBER, DENSE, totals="all", pagination_depth=12),
    "on_encoder_failure": hybrid(NUMBER, DENSE, on_encoder_failure="skip"),
    "evidence": hybrid(NUMBER, DENSE, evidence=False),
    "boost and _name": hybrid(NUMBER, DENSE, boost=2, _name="both"),
    "a hybrid in a hybrid": hybrid(hybrid(NUMBER, DENSE), KNN),
    "in a bool": {"bool": {"must": [hybrid(NUMBER, DENSE)], "filter": [{"range": {"n": {"lt": 30}}}]}},
}
CLAUSES = {f"neural {name}": body for name, body in NEURAL_KEYS.items()} | {
    f"hybrid {name}": body for name, body in HYBRID_KEYS.items()
}
# Security adds one to a hit's score for each rule: the order and the legs are what is compared.
TEXT_STATISTICS = {"hybrid a text leg"}


def body_of(query: dict[str, Any], size: int = 12) -> dict[str, Any]:
    return {
        "size": size,
        "query": query,
        "_source": False,
        "aggs": {"colors": {"terms": {"field": "color"}}, "most": {"max": {"field": "n"}}},
    }


def told(answer: dict[str, Any], legs: bool = True) -> dict[str, Any]:
    """All that an answer tells: hits in order, their legs' ranks and scores, totals and facets."""
    hits = answer["hits"]
    assert not answer["_shards"]["failed"], answer
    return {
        "hits": [(hit["_id"], hit.get("fields", {}).get("_legs") if legs else None) for hit in hits["hits"]],
        "total": hits.get("total"),
        "aggregations": answer["aggregations"],
    }


def _unordered(found: dict[str, Any]) -> dict[str, Any]:
    """Where term statistics decide between hits that match alike."""
    return {**found, "hits": len(found["hits"])}


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("name", CLAUSES)
@pytest.mark.parametrize("user", ["reader", "lookup"])
def test_an_answer_is_that_of_an_index_of_the_visible_alone(
    node: Secured, user: str, name: str, shards: int
) -> None:
    if user == "lookup" and name not in {"neural like", "neural like with a text"}:
        pytest.skip("rules with a terms look-up stand in the request itself, as a caller's own filter does")
    shop = told(node.ask(user, "POST", f"/shop{shards}/_search", body_of(CLAUSES[name])))
    visible = told(node.ask(user, "POST", f"/visible{shards}/_search", body_of(CLAUSES[name])))
    assert visible["hits"], "expected the query to find something"
    if name in TEXT_STATISTICS:
        shop, visible = _unordered(shop), _unordered(visible)
    assert shop == visible
