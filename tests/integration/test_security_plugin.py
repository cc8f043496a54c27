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
from typing import Any

import pytest

from ..fakes.secured import ADMIN, Role, Secured
from ..fakes.stub_encoder import FINGERPRINT, MODEL, StubEncoder

pytestmark = [pytest.mark.integration, pytest.mark.slow]
VISIBLE, HIDDEN = 40, 50
SHARDS = (1, 3)


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
    "pit": _role(dls='{"term": {"shown": true}}'),
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
    health = node.ask(ADMIN, "GET", "/_cluster/health/shop*,visible*?wait_for_status=green&timeout=60s")
    assert not health["timed_out"], health


def neural(**keys: Any) -> dict[str, Any]:
    return {"neural": {"v": {"query_text": "chair", **keys}}}


def hybrid(*queries: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"hybrid": {"queries": list(queries), **keys}}


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
    "cutoff relative_max with a boost": neural(k=20, boost=3, cutoff={"relative_max": 0.98}),
    "cutoff gap": neural(k=20, cutoff={"gap": 0.002}),
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
HIDDEN_FROM = ["reader", "lookup"]


def body_of(query: dict[str, Any], size: int = 12) -> dict[str, Any]:
    return {
        "size": size,
        "query": query,
        "_source": False,
        "aggs": {"colors": {"terms": {"field": "color"}}, "most": {"max": {"field": "n"}}},
    }


def shown(answer: dict[str, Any]) -> dict[str, Any]:
    """What an answer tells: hits in order, their legs' ranks and scores, totals and facets.

    Security itself adds one to a hit's own score for each rule that lets it through.
    """
    hits = answer["hits"]
    assert not answer["_shards"]["failed"], answer
    return {
        "hits": [(hit["_id"], hit.get("fields", {}).get("_legs")) for hit in hits["hits"]],
        "total": hits.get("total"),
        "aggregations": answer["aggregations"],
    }


def refused(node: Secured, user: str, path: str, body: object) -> tuple[int, str]:
    """The status and the reason of a search that must be refused."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        node.ask(user, "POST", path, body)
    with caught.value as error:
        return error.code, json.loads(error.read())["error"]["root_cause"][0]["reason"]


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("name", CLAUSES)
@pytest.mark.parametrize("user", HIDDEN_FROM)
def test_an_answer_is_that_of_an_index_of_the_visible_alone(
    node: Secured, user: str, name: str, shards: int
) -> None:
    shop = shown(node.ask(user, "POST", f"/shop{shards}/_search", body_of(CLAUSES[name])))
    visible = shown(node.ask(user, "POST", f"/visible{shards}/_search", body_of(CLAUSES[name])))
    assert visible["hits"], "expected the query to find something"
    assert shop == visible


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("user", HIDDEN_FROM)
def test_a_text_leg_finds_all_that_is_visible(node: Secured, user: str, shards: int) -> None:
    # The hidden ones match better and would fill a window of 45. Statistics of terms are the whole index's,
    # so that scores differ.
    body = body_of(hybrid({"match": {"title": "chair"}}, pagination_depth=45), size=45)
    shop = node.ask(user, "POST", f"/shop{shards}/_search", body)
    assert {hit["_id"] for hit in shop["hits"]["hits"]} == {f"s{number}" for number in range(VISIBLE)}
    assert shop["hits"]["total"] == {"value": VISIBLE, "relation": "eq"}
    ranks = [hit["fields"]["_legs"][0]["rank"] for hit in shop["hits"]["hits"]]
    assert ranks == list(range(1, VISIBLE + 1))
    visible = node.ask(user, "POST", f"/visible{shards}/_search", body)
    assert shop["aggregations"] == visible["aggregations"]


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("user", ["several", "lookup"])
def test_several_searches_in_one_request(node: Secured, user: str, shards: int) -> None:
    def asked(index: str) -> list[dict[str, Any]]:
        lines = []
        for body in CLAUSES.values():
            lines += [json.dumps({"index": index}), json.dumps(body_of(body))]
        return [
            shown(each) for each in node.ask(user, "POST", "/_msearch", "\n".join(lines) + "\n")["responses"]
        ]

    assert asked(f"shop{shards}") == asked(f"visible{shards}")


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("name", CLAUSES)
def test_counts(node: Secured, name: str, shards: int) -> None:
    counts = [
        node.ask("reader", "POST", f"/{index}{shards}/_count", {"query": CLAUSES[name]})["count"]
        for index in ("shop", "visible")
    ]
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("query", [DENSE, hybrid(NUMBER, DENSE, pagination_depth=12)])
def test_explanations_are_of_the_visible_alone(node: Secured, query: dict[str, Any], shards: int) -> None:
    def explained(index: str, product: str) -> dict[str, Any]:
        found: dict[str, Any] = node.ask(
            "reader", "POST", f"/{index}{shards}/_explain/{product}", {"query": query}
        )
        return {"matched": found["matched"], "value": found.get("explanation", {}).get("value")}

    body = {**body_of(query), "explain": True}
    shop, visible = (
        node.ask("reader", "POST", f"/{index}{shards}/_search", body)["hits"]["hits"]
        for index in ("shop", "visible")
    )
    assert [hit["_explanation"]["value"] for hit in shop] == [hit["_explanation"]["value"] for hit in visible]
    # On several shards hits are explained where security has added nothing.
    added = shop[0]["_score"] - shop[0]["_explanation"]["value"]
    assert added == pytest.approx(0 if shards == 1 else 1)
    for product in ("s0", "s5", "s39"):
        assert explained("shop", product) == explained("visible", product)


def test_a_point_in_time_that_two_users_share(node: Secured) -> None:
    query = {
        "nested": {
            "path": "parts",
            "query": {"neural": {"parts.v": {"query_text": "c", "k": 3}}},
            "inner_hits": {"_source": False},
        }
    }
    pit = node.ask(ADMIN, "POST", "/shop3/_search/point_in_time?keep_alive=5m")["pit_id"]

    def found(user: str) -> list[dict[str, Any]]:
        body = {"query": query, "explain": True, "size": 9, "pit": {"id": pit}, "_source": False}
        hits: list[dict[str, Any]] = node.ask(user, "POST", "/_search", body)["hits"]["hits"]
        return hits

    for _ in range(3):
        assert all(hit["_id"].startswith("h") for hit in found("everything"))
        own = found("pit")
        assert len(own) == 9
        for hit in own:
            assert hit["_id"].startswith("s")
            assert hit["_explanation"]["value"] > 0, hit
            assert hit["inner_hits"]["parts"]["hits"]["hits"], hit


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("user", HIDDEN_FROM)
def test_like_tells_of_a_hidden_product_what_get_tells(node: Secured, user: str, shards: int) -> None:
    def like(product: str) -> tuple[int, str]:
        query = {"neural": {"v": {"like": {"_id": product}, "k": 5}}}
        status, reason = refused(node, user, f"/shop{shards}/_search", {"query": query})
        return status, reason.replace(product, "ID")

    with pytest.raises(urllib.error.HTTPError) as got:
        node.ask(user, "GET", f"/shop{shards}/_doc/h7")
    with got.value as error:
        assert error.code == 404
    assert like("h7") == like("none")
    assert like("h7")[0] == 400


def test_like_of_another_index_is_refused_where_rules_are_known_for_one(node: Secured) -> None:
    query = {"neural": {"v": {"like": {"_id": "s1", "_index": "visible1"}, "k": 5}}}
    status, reason = refused(node, "lookup", "/shop1/_search", {"query": query})
    assert status == 400
    assert "terms lookup" in reason


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("user", HIDDEN_FROM)
def test_an_oracle_learns_nothing_of_hidden_products(node: Secured, user: str, shards: int) -> None:
    """For each hidden product its own word and its own vector, ranks and scores watched."""
    for number in range(HIDDEN):
        word = {"constant_score": {"filter": {"match": {"title": f"secret{number}"}}}}
        near = {"knn": {"v": {"vector": _product(number, False)["v"], "k": 3}}}
        radius = neural(min_score=1 - 0.001 * (number + 1))
        exists = {"constant_score": {"filter": {"term": {"n": 1000 + number}}}}
        for query in (
            hybrid(word, NUMBER, pagination_depth=10),
            hybrid(word, near, exists, fusion=RRF),
            hybrid(near, NUMBER, fusion=L2, totals="all"),
            hybrid(radius, word, cutoff={"gap": 0.5}),
            hybrid({"match": {"title": f"secret{number}"}}, NUMBER, fusion=Z_SCORE),
        ):
            shop, visible = (
                shown(node.ask(user, "POST", f"/{index}{shards}/_search", body_of(query, 10)))
                for index in ("shop", "visible")
            )
            assert shop == visible, query


def test_a_leg_on_a_field_that_is_hidden_or_masked_does_as_a_query_on_it(node: Secured) -> None:
    def found(user: str, query: dict[str, Any]) -> int:
        return int(node.ask(user, "POST", "/visible3/_search", body_of(query))["hits"]["total"]["value"])

    for query in (
        {"match": {"title": "chair"}},
        {"match": {"color": "red"}},
        {"match": {"text": "chair"}},
    ):
        assert found("everything", query) > 0
        assert found("fields", hybrid(query)) == found("fields", query)
    assert found("fields", hybrid({"match": {"title": "chair"}})) == 0
    assert found("fields", hybrid({"match": {"text": "chair"}})) == VISIBLE
    assert found("fields", {"neural": {"v": {"query_text": "chair", "k": 5}}}) == 0
    assert found("fields", hybrid(DENSE)) == 0
    # k-NN's own query searches hidden vectors; as a leg it does not.
    assert found("everything", hybrid(KNN)) > 0
    assert found("fields", hybrid(KNN)) == 0
    status, reason = refused(
        node, "fields", "/visible1/_search", {"query": {"neural": {"v": {"like": {"_id": "s1"}}}}}
    )
    assert (status, "no vector" in reason) == (400, True)


def test_two_users_at_once_each_get_their_own(node: Secured) -> None:
    body = body_of(hybrid({"match": {"title": "chair"}}, DENSE, pagination_depth=12))
    for _ in range(3):
        every = node.ask("everything", "POST", "/shop3/_search", body)["hits"]["hits"]
        own = node.ask("reader", "POST", "/shop3/_search", body)["hits"]["hits"]
        assert any(hit["_id"].startswith("h") for hit in every)
        assert all(hit["_id"].startswith("s") for hit in own)


def test_vectors_stay_out_of_searches_by_rest_and_nowhere_else(node: Secured) -> None:
    body = {"query": {"match_all": {}}, "size": 1}
    for user in ("everything", "reader"):
        (hit,) = node.ask(user, "POST", "/shop1/_search", body)["hits"]["hits"]
        assert "v" not in hit["_source"]
        assert "v" in node.ask(user, "GET", "/shop1/_doc/s1")["_source"]
    template = {"source": body}
    (hit,) = node.ask(ADMIN, "POST", "/shop1/_search/template", template)["hits"]["hits"]
    assert "v" not in hit["_source"]
    for path, lines in {
        "/_msearch": [{"index": "shop1"}, body],
        "/_msearch/template": [{"index": "shop1"}, template],
    }.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (answer,) = node.ask(ADMIN, "POST", path, text)["responses"]
        assert "v" not in answer["hits"]["hits"][0]["_source"]
