"""What has to come of `java/TypedClient.java`: opensearch-java."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from . import installed
from .shop import INDEX, Shop, answers, best, fused_scores

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.foreign]
OWN = "foreign-java"


@pytest.fixture(scope="module")
def expected(shop: Shop, mmr: None) -> dict[str, Any]:
    return answers(shop) | {"vectors": shop.vectors()}


@pytest.fixture(scope="module")
def saw(shop: Shop, expected: dict[str, Any]) -> dict[str, Any]:
    command = installed.java()
    return installed.program(command, shop.given | {"vectors": shop.encoded(shop.titles).tolist()})


@pytest.mark.parametrize("search", ["neural", "hybrid", "pages", "diverse", "legs", "buckets", "counted"])
def test_a_typed_search_finds_what_the_node_answers(
    saw: dict[str, Any], expected: dict[str, Any], search: str
) -> None:
    assert saw["searches"][search] == expected[search]


def test_hits_carry_no_vectors(saw: dict[str, Any]) -> None:
    assert (saw["searches"]["total"], saw["searches"]["vectors"]) == (150, 0)


def test_errors_are_the_clients_own(saw: dict[str, Any]) -> None:
    errors = saw["errors"]
    assert errors.pop("after") == 5
    assert {name: (each["class"], each["status"], each.get("type")) for name, each in errors.items()} == {
        "refused": ("OpenSearchException", 400, "parsing_exception"),
        "unknown": ("OpenSearchException", 404, "encoder_exception"),
        # What it takes for a failure of the node, not of the request.
        "away": ("ResponseException", 503, None),
    }
    assert "Triton does not serve served_nowhere" in errors["away"]["text"]


def test_products_that_are_read_and_written_back_keep_their_vectors(
    shop: Shop, saw: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert len(set(saw["products"])) == 40
    assert shop.vectors() == expected["vectors"]
    changed = shop.hits({"query": {"ids": {"values": saw["products"]}}, "size": 40}, INDEX)
    assert {hit["_source"]["price"] for hit in changed} == {1, 2, 3, 4, 5}


def test_documents_of_the_clients_own_index_keep_their_vectors(shop: Shop, saw: dict[str, Any]) -> None:
    own = saw["own"]
    assert (own["failed"], len(own["found"])) == (False, 150)
    stored = shop.vectors(OWN)
    assert np.allclose([stored[str(number)] for number in range(300)], shop.encoded(shop.titles), atol=1e-6)
    assert best(fused_scores(own["legs"]), own["found"])
