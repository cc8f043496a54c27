"""What has to come of `programs/opensearch_js.mjs`: The JavaScript client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from . import installed
from .shop import INDEX, Shop, answers, best, fused_scores

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.foreign]
OWN = "foreign-js"


@pytest.fixture(scope="module")
def expected(shop: Shop, mmr: None) -> dict[str, Any]:
    return answers(shop) | {"vectors": shop.vectors()}


@pytest.fixture(scope="module")
def saw(shop: Shop, node: Path, expected: dict[str, Any]) -> dict[str, Any]:
    given = shop.given | {"vectors": shop.encoded(shop.titles).tolist()}
    return installed.program(["node", installed.PROGRAMS / "opensearch_js.mjs"], given, cwd=node)


@pytest.mark.parametrize("search", ["hybrid", "pages", "diverse", "legs", "counted"])
def test_a_search_finds_what_the_node_answers(
    saw: dict[str, Any], expected: dict[str, Any], search: str
) -> None:
    assert saw["searches"][search] == expected[search]


def test_several_searches_at_once_and_the_helpers(saw: dict[str, Any], expected: dict[str, Any]) -> None:
    searches = saw["searches"]
    assert searches["several"] == [expected["hybrid"], expected["neural"]]
    assert (len(searches["documents"]), searches["vectors"]) == (150, 0)
    assert [each["leg"] for each in searches["degraded"]] == ["1"]


def test_errors_are_the_clients_own(saw: dict[str, Any]) -> None:
    failures = saw["failures"]
    assert failures.pop("after") == 5
    assert {name: each["status"] for name, each in failures.items()} == {
        "refused": 400,
        "unknown": 404,
        "away": 503,
        "scrolled": 400,
    }
    assert {(each["class"], each["known"]) for each in failures.values()} == {("ResponseError", True)}
    assert "[hybrid] does not support scroll" in failures["scrolled"]["reason"]


def test_products_that_are_read_and_written_back_keep_their_vectors(
    shop: Shop, saw: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert len(set(saw["products"])) == 40
    assert shop.vectors() == expected["vectors"]
    changed = shop.hits({"query": {"ids": {"values": saw["products"]}}, "size": 40}, INDEX)
    assert {hit["_source"]["price"] for hit in changed} == {1, 2, 3, 4, 5}


def test_documents_of_the_clients_own_index_keep_their_vectors(shop: Shop, saw: dict[str, Any]) -> None:
    own = saw["own"]
    assert (own["bulk"], own["again"], len(own["found"])) == (300, 150, 150)
    stored = shop.vectors(OWN)
    assert np.allclose([stored[str(number)] for number in range(300)], shop.encoded(shop.titles), atol=1e-6)
    assert best(fused_scores(own["legs"]), own["found"])
