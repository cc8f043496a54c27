"""What has to come of `programs/llama_store.py`: LlamaIndex's OpensearchVectorStore."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from . import installed
from .shop import PIPELINE, TEXT, Shop, best, cosine_scores, fused_scores, hybrid

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.foreign]
OWN = "foreign-llama"


@pytest.fixture(scope="module")
def dense(shop: Shop) -> dict[str, Any]:
    """k-NN's own clause with the query's vector, as the store sends it."""
    (query,) = shop.encoded([TEXT], "query_encoder").tolist()
    return {"knn": {"embedding": {"vector": query, "k": 150}}}


@pytest.fixture(scope="module")
def ours(shop: Shop, dense: dict[str, Any]) -> dict[str, list[str]]:
    """What the shop answers to the same clauses."""
    shop.settle()
    words = {"bool": {"must": {"match": {"title": {"query": TEXT}}}}}
    fused = {"query": hybrid(words, dense), "size": 150, "search_pipeline": PIPELINE}
    return {
        "dense": shop.ids({"query": dense, "size": 150}),
        "words": shop.ids({"query": words, "size": 150}),
        "hybrid": shop.ids(fused),
    }


@pytest.fixture(scope="module")
def saw(shop: Shop, python: Path, ours: dict[str, list[str]]) -> dict[str, Any]:
    return installed.program([python, installed.PROGRAMS / "llama_store.py"], shop.given)


def test_the_stores_own_index_is_searched_to_its_150th_hit(shop: Shop, saw: dict[str, Any]) -> None:
    own = saw["own"]
    assert len(own["dense"]) == 150
    assert best(cosine_scores(shop, shop.titles), own["dense"])
    assert [own["words"], own["dense"]] == [[name for name, _ in leg] for leg in own["legs"]]
    assert own["even"] == [0] * 150


def test_hybrid_mode_fuses_by_its_pipeline(shop: Shop, saw: dict[str, Any]) -> None:
    own = saw["own"]
    scores = fused_scores(own["legs"], 0.4, 0.6)
    assert len(own["hybrid"]) == 150
    assert best(scores, own["hybrid"])
    assert np.allclose(own["scores"], sorted(scores.values(), reverse=True)[:150], atol=1e-5)
    assert own["texts"] == [shop.titles[int(name)] for name in own["hybrid"]]
    assert own["hybrid_even"] == [0] * 150


def test_nodes_that_are_changed_and_added_again_keep_their_vectors(shop: Shop, saw: dict[str, Any]) -> None:
    own = saw["own"]
    assert (len(own["changed"]), own["more"]) == (20, 302)
    stored = shop.vectors(OWN)
    assert np.allclose([stored[str(number)] for number in range(300)], shop.encoded(shop.titles), atol=1e-6)
    assert len(stored) == 300
    marked = shop.hits({"query": {"term": {"metadata.marked": True}}, "size": 50}, OWN)
    assert {hit["_id"] for hit in marked} == set(own["changed"])


@pytest.mark.parametrize("mode", ["dense", "words", "hybrid"])
def test_the_shop_is_searched_through_a_response_processor(
    saw: dict[str, Any], ours: dict[str, list[str]], mode: str
) -> None:
    found = saw["ours"]
    assert found["bare"]["class"] == "ValidationError"
    assert "metadata" in found["bare"]["text"]
    assert found[mode] == ours[mode]
    assert len(found["hybrid"]) == 150
    assert len(found["licences"]) > 1


def test_errors_are_the_clients_own(saw: dict[str, Any]) -> None:
    errors = saw["errors"]
    assert {name: (each["class"], each["status"]) for name, each in errors.items()} == {
        "pipeline": ("RequestError", 400),
        "field": ("RequestError", 400),
        "unsaid": ("ValueError", None),
    }
