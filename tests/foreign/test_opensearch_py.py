"""What has to come of `programs/opensearch_py.py`: opensearch-py and its DSL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from . import installed
from .shop import Shop, answers, neural

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.foreign]


@pytest.fixture(scope="module")
def expected(shop: Shop, mmr: None) -> dict[str, Any]:
    return answers(shop) | {"vectors": shop.vectors()}


@pytest.fixture(scope="module")
def filtered(shop: Shop, expected: dict[str, Any]) -> list[str]:
    category = {"term": {"category.keyword": "Living room"}}
    return shop.ids({"query": neural(), "post_filter": category, "size": 150})


@pytest.fixture(scope="module")
def saw(shop: Shop, python: Path, expected: dict[str, Any], filtered: list[str]) -> dict[str, Any]:
    return installed.program([python, installed.PROGRAMS / "opensearch_py.py"], shop.given)


def test_a_clause_is_made_known_by_a_class_of_its_name(saw: dict[str, Any]) -> None:
    assert saw["unknown_clause"]["class"] == "UnknownDslObject"


@pytest.mark.parametrize("search", ["neural", "hybrid", "pages", "diverse", "buckets", "counted"])
def test_a_search_finds_what_the_node_answers(
    saw: dict[str, Any], expected: dict[str, Any], search: str
) -> None:
    assert saw["searches"][search] == expected[search]


def test_hits_carry_their_fields_and_legs_and_no_vectors(
    saw: dict[str, Any], expected: dict[str, Any], filtered: list[str]
) -> None:
    searches = saw["searches"]
    assert (searches["total"], searches["vectors"], len(searches["titles"])) == (150, 0, 150)
    assert searches["legs"] == expected["legs"]
    assert searches["filtered"] == filtered
    assert [each["leg"] for each in searches["degraded"]] == ["1"]


def test_errors_are_the_clients_own(saw: dict[str, Any]) -> None:
    errors = saw["errors"]
    assert {
        name: (errors[name]["class"], errors[name]["status"]) for name in ("refused", "unknown", "away")
    } == {
        "refused": ("RequestError", 400),
        "unknown": ("NotFoundError", 404),
        "away": ("TransportError", 503),
    }
    assert "expected a combination technique of" in errors["refused"]["text"]
    assert errors["after"] == 5


def test_documents_of_the_clients_own_index_keep_their_vectors(shop: Shop, saw: dict[str, Any]) -> None:
    notes = saw["notes"]
    assert len(set(notes["found"])) == 20
    stored = shop.vectors("foreign-py-notes")
    ours = shop.encoded(notes["titles"])
    assert np.allclose([stored[str(number)] for number in range(20)], ours, atol=1e-6)
    prices = {hit["_id"]: hit["_source"]["price"] for hit in shop.hits({"size": 20}, "foreign-py-notes")}
    assert prices == {str(number): 3.0 if number == 0 else 2.0 for number in range(20)}


def test_products_that_are_read_and_written_back_keep_their_vectors(
    shop: Shop, saw: dict[str, Any], expected: dict[str, Any]
) -> None:
    products = saw["products"]
    assert len(set(products["changed"])) == 40
    assert products["prices"] == [3.0, 4.0, 5.0, 7.0]
    assert products["updated"] == 10
    assert shop.vectors() == expected["vectors"]


def test_a_copy_by_the_clients_helper_keeps_its_vectors(
    shop: Shop, saw: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert saw["products"]["copied"] == 820
    assert shop.vectors("foreign-py-copy") == expected["vectors"]
