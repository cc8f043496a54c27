"""Data Prepper's source `opensearch`, by the requests that it makes.

As in opensearch-project/data-prepper at commit 4e7f003d, `data-prepper-plugins/opensearch`, package
`org.opensearch.dataprepper.plugins.source.opensearch.worker`: `client/OpenSearchAccessor.java`,
`PitWorker.java`, `ScrollWorker.java` and `NoSearchContextWorker.java`. A point in time of 15 minutes is kept
for another one with each page, or a scroll is, or, with `search_context_type: none`, neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .shop import INDEX, Shop

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.foreign]
BATCH = 100
BY_DOC = [{"_doc": {"order": "asc"}}, {"_id": {"order": "asc"}}]
BY_SHARD_DOC = [{"_shard_doc": {"order": "asc"}}]
SETTING = "index.mmsearch.answers.leave_out_vectors"
Page = list[dict[str, Any]]


def after_each_other(ask: Callable[[dict[str, Any]], dict[str, Any]], sort: Page) -> Iterator[dict[str, Any]]:
    """Every hit: each page after the last of the one before, until one is not full."""
    body: dict[str, Any] = {"query": {"match_all": {}}, "size": BATCH, "sort": sort, "version": True}
    while True:
        hits = ask(body)["hits"]["hits"]
        yield from hits
        if len(hits) < BATCH:
            return
        body["search_after"] = hits[-1]["sort"]


def by_point_in_time(shop: Shop, sort: Page) -> Page:
    pit = shop.ask("POST", f"/{INDEX}/_search/point_in_time?keep_alive=15m")["pit_id"]
    held = {"pit": {"id": pit, "keep_alive": "1m"}}
    hits = list(after_each_other(lambda body: shop.ask("POST", "/_search", body | held), sort))
    (deleted,) = shop.ask("DELETE", "/_search/point_in_time", {"pit_id": [pit]})["pits"]
    assert deleted == {"successful": True, "pit_id": pit}
    return hits


def by_scroll(shop: Shop) -> Page:
    body = {"size": BATCH, "sort": [{"_doc": {"order": "asc"}}], "version": True}
    page = shop.ask("POST", f"/{INDEX}/_search?scroll=10m", body)
    hits: Page = []
    while page["hits"]["hits"]:
        hits += page["hits"]["hits"]
        page = shop.ask("POST", "/_search/scroll", {"scroll_id": page["_scroll_id"], "scroll": "10m"})
    assert shop.ask("DELETE", "/_search/scroll", {"scroll_id": [page["_scroll_id"]]})["succeeded"] is True
    return hits


def by_search(shop: Shop) -> Page:
    return list(after_each_other(lambda body: shop.ask("POST", f"/{INDEX}/_search", body), BY_DOC))


@pytest.fixture
def vectors(shop: Shop) -> dict[str, list[float]]:
    return shop.vectors()


@pytest.fixture
def with_vectors(shop: Shop) -> Iterator[None]:
    """The setting that `docs/migration.md` names."""
    shop.ask("PUT", f"/{INDEX}/_settings", {SETTING: False})
    yield
    shop.ask("PUT", f"/{INDEX}/_settings", {SETTING: None})


@pytest.mark.parametrize("sort", [BY_DOC, BY_SHARD_DOC], ids=["doc", "shard_doc"])
def test_a_point_in_time_gives_every_product_once_and_whole(
    shop: Shop, vectors: dict[str, list[float]], sort: Page
) -> None:
    hits = by_point_in_time(shop, sort)
    assert len(hits) == len(vectors) == 820
    assert {hit["_id"]: hit["_source"]["embedding"] for hit in hits} == vectors


def test_a_scroll_gives_every_product_once_and_whole(shop: Shop, vectors: dict[str, list[float]]) -> None:
    hits = by_scroll(shop)
    assert len(hits) == len(vectors)
    assert {hit["_id"]: hit["_source"]["embedding"] for hit in hits} == vectors


def test_plain_searches_give_every_product_once_without_vectors(shop: Shop) -> None:
    hits = by_search(shop)
    assert len({hit["_id"] for hit in hits}) == len(hits) == 820
    assert not any("embedding" in hit["_source"] for hit in hits)


def test_plain_searches_give_vectors_where_the_index_says_so(
    shop: Shop, vectors: dict[str, list[float]], with_vectors: None
) -> None:
    hits = by_search(shop)
    assert {hit["_id"]: hit["_source"]["embedding"] for hit in hits} == vectors


def test_what_was_read_is_written_into_another_index_whole(
    shop: Shop, vectors: dict[str, list[float]]
) -> None:
    shop.ask("PUT", "/foreign-prepared", shop.like_this())
    for hit in by_point_in_time(shop, BY_DOC)[:20]:
        version = f"version={hit['_version']}&version_type=external"
        shop.ask("PUT", f"/foreign-prepared/_doc/{hit['_id']}?{version}", hit["_source"])
    copied = shop.vectors("foreign-prepared")
    assert len(copied) == 20
    assert copied == {name: vectors[name] for name in copied}
