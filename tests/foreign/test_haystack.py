"""What has to come of `programs/haystack_store.py`: Haystack's OpenSearchDocumentStore."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from . import installed
from .shop import Shop, best, cosine_scores, diverse, fused_scores, hybrid

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.foreign]
OWN = "foreign-haystack"


@pytest.fixture(scope="module")
def ours(shop: Shop) -> list[str]:
    shop.settle()
    return [hit["_source"]["title"] for hit in shop.hits({"query": hybrid(), "size": 150})]


@pytest.fixture(scope="module")
def saw(shop: Shop, python: Path, mmr: None, ours: list[str]) -> dict[str, Any]:
    return installed.program([python, installed.PROGRAMS / "haystack_store.py"], shop.given)


def test_retrievers_find_what_is_nearest_and_what_matches(shop: Shop, saw: dict[str, Any]) -> None:
    own = saw["own"]
    assert own["written"] == 300
    assert len(own["dense"]) == 150
    assert best(cosine_scores(shop, shop.titles), own["dense"])
    assert own["words"] == [name for name, _ in own["legs"][0]]
    assert len(set(own["joined"])) == 150
    assert set(own["words"]) <= set(own["joined"])
    # A filter beside k-NN's clause is applied afterwards.
    assert own["even"] == [0] * sum(int(name) % 2 == 0 for name in own["dense"])


def test_a_hybrid_as_custom_query_is_fused(saw: dict[str, Any]) -> None:
    own = saw["own"]
    scores = fused_scores(own["legs"])
    assert len(own["hybrid"]) == 150
    assert best(scores, own["hybrid"])
    assert np.allclose(own["scores"], sorted(scores.values(), reverse=True)[:150], atol=1e-5)


def test_filters_go_into_the_hybrid_and_none_is_null(saw: dict[str, Any]) -> None:
    assert saw["own"]["hybrid_even"] == [0] * 150
    assert saw["own"]["unfiltered"] == saw["own"]["hybrid"]


def test_mmr_is_reckoned_over_the_hybrid(shop: Shop, saw: dict[str, Any]) -> None:
    assert saw["own"]["diverse"] == diverse(saw["own"]["candidates"], shop.vectors(OWN))


def test_documents_that_are_found_and_overwritten_keep_their_vectors(shop: Shop, saw: dict[str, Any]) -> None:
    own = saw["own"]
    assert [own[name] for name in ("overwritten", "overwritten_even", "updated", "count")] == [
        150,
        150,
        150,
        300,
    ]
    stored = shop.vectors(OWN)
    assert np.allclose([stored[str(number)] for number in range(300)], shop.encoded(shop.titles), atol=1e-6)
    marked = shop.hits({"query": {"exists": {"field": "marked"}}, "size": 300}, OWN)
    even = {str(number) for number in range(0, 300, 2)}
    assert {hit["_id"] for hit in marked} == even | set(own["hybrid"])


def test_the_shop_is_searched_by_a_hybrid(saw: dict[str, Any], ours: list[str]) -> None:
    assert saw["ours"] == {"titles": ours, "vectors": 0}


def test_errors_are_the_clients_own(saw: dict[str, Any]) -> None:
    errors = saw["errors"] | {"duplicate": saw["own"]["duplicate"]}
    assert {name: (each["class"], each["status"]) for name, each in errors.items()} == {
        "duplicate": ("DuplicateDocumentError", None),
        "unnamed": ("RequestError", 400),
        "odd": ("RequestError", 400),
        "away": ("TransportError", 503),
    }
    assert "in _meta.mmsearch.fields.embedding of the mapping" in errors["unnamed"]["text"]
