"""What has to come of `programs/langchain_store.py`: LangChain's OpenSearchVectorSearch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from . import installed
from .shop import INDEX, TEXT, Shop, best, cosine_scores, fused_scores, neural

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.foreign]
OWN = "foreign-langchain"
FIELD = "vector_field"


@pytest.fixture(scope="module")
def dense(shop: Shop) -> dict[str, Any]:
    """k-NN's own clause with the query's vector, as the store sends it."""
    (query,) = shop.encoded([TEXT], "query_encoder").tolist()
    return {"vector": query, "k": 200}


@pytest.fixture(scope="module")
def ours(shop: Shop, dense: dict[str, Any]) -> list[str]:
    shop.settle()
    return shop.ids({"query": {"knn": {"embedding": dense}}, "size": 200})


@pytest.fixture(scope="module")
def before(shop: Shop) -> dict[str, list[float]]:
    return shop.vectors()


@pytest.fixture(scope="module")
def saw(shop: Shop, python: Path, ours: list[str], before: dict[str, list[float]]) -> dict[str, Any]:
    return installed.program([python, installed.PROGRAMS / "langchain_store.py"], shop.given)


def test_two_hundred_hits_of_the_stores_own_index_are_the_nearest(shop: Shop, saw: dict[str, Any]) -> None:
    own, scores = saw["own"], cosine_scores(shop, shop.titles)
    assert len(own["similar"]) == 200
    assert best(scores, own["similar"])
    assert np.allclose(own["scores"], sorted(scores.values(), reverse=True)[:200], atol=1e-5)
    assert own["scripted"] == own["similar"][:20]
    assert own["above"] == 21
    assert own["even"] == [0] * 50


def test_hybrid_search_fuses_by_the_pipeline_that_the_store_makes(saw: dict[str, Any]) -> None:
    own = saw["own"]
    assert own["pipeline"] is True
    assert len(own["hybrid"]) == 150
    assert best(fused_scores(own["legs"], 0.4, 0.6), own["hybrid"])
    # A post filter is applied to the 150 of the window.
    assert own["hybrid_even"] == [0] * sum(int(name) % 2 == 0 for name in own["hybrid"])


def test_mmr_chooses_among_the_nearest_and_spreads(shop: Shop, saw: dict[str, Any]) -> None:
    own = saw["own"]
    assert own["diverse"][0] == own["similar"][0]
    assert set(own["diverse"]) < set(own["similar"][:50])
    vectors = shop.encoded(shop.titles)

    def likeness(found: list[str]) -> float:
        some = vectors[[int(name) for name in found]]
        return float((some @ some.T).mean())

    assert likeness(own["diverse"]) < likeness(own["similar"][:10])


def test_texts_that_are_added_again_keep_their_vectors(shop: Shop, saw: dict[str, Any]) -> None:
    assert (len(saw["own"]["added"]), saw["own"]["more"]) == (300, 301)
    stored = shop.vectors(OWN, FIELD)
    assert np.allclose([stored[str(number)] for number in range(300)], shop.encoded(shop.titles), atol=1e-6)
    assert len(stored) == 300


def test_the_shop_is_searched_by_its_field_names(shop: Shop, saw: dict[str, Any], ours: list[str]) -> None:
    assert saw["ours"]["similar"] == ours
    assert len(set(ours)) == 200
    # A vector that the client has encoded weighs text and image equally; the clause weighs them by the index.
    assert ours[:100] == shop.ids({"query": neural(k=200, text_to_image=0.5), "size": 100})


def test_mmr_over_the_shop_wants_the_setting_that_leaves_vectors_in_answers(
    shop: Shop, saw: dict[str, Any], before: dict[str, list[float]]
) -> None:
    found = saw["ours"]
    assert (found["cut"]["class"], found["cut"]["text"]) == ("KeyError", "'embedding'")
    assert (len(set(found["diverse"])), found["with_vectors"]) == (10, 10)
    assert found["diverse"][0] == found["similar"][0]
    assert shop.vectors() == before
    assert "embedding" not in shop.hits({"size": 1}, INDEX)[0]["_source"]


def test_errors_are_the_clients_own(saw: dict[str, Any]) -> None:
    errors = saw["errors"]
    assert set(errors) == {"pipeline", "field", "engine"}
    assert {(each["class"], each["status"]) for each in errors.values()} == {("RequestError", 400)}
    assert "no_such_pipeline" in errors["pipeline"]["text"]
