"""The next index on the real OpenSearch: its settings, filters and storage are those of the old one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mmsearch.clients.opensearch import ask, connect
from mmsearch.ingest.product_index.storage import Storage, for_every_release

from ..fakes.fake_triton import FakeTriton
from ..fakes.reindexing import Shop
from ..unit.test_loss_successor import OF_3_5


@pytest.mark.integration
def test_loss_02_the_real_node_takes_half_floats_of_an_older_one(opensearch: Any) -> None:
    client = connect(opensearch.url)
    properties = {"embedding": for_every_release(OF_3_5)}
    settings = {"index": {"knn": True}}
    ask(client, "PUT", "/loss-02", body={"settings": settings, "mappings": {"properties": properties}})
    kept = ask(client, "GET", "/loss-02")["loss-02"]["mappings"]["properties"]["embedding"]
    ask(client, "DELETE", "/loss-02")
    client.close()
    assert Storage.of(kept) == Storage.of(OF_3_5) == Storage("faiss", "fp16")
    assert kept["method"]["parameters"] == {"m": 24}


@pytest.mark.integration
def test_loss_17_the_real_node_keeps_filters_settings_and_storage(
    opensearch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MMSEARCH_INDEX", "carried")
    client = connect(opensearch.url)
    with FakeTriton() as triton:
        shop = Shop(tmp_path, triton, None, opensearch.url)
        shop.node.stop()
        shop.write(*({"id": str(n), "title": f"chair {n}", "price": n} for n in range(60)))
        try:
            shop.ingest("--shards", "3", "--knn-encoder", "byte", "--knn-mode", "on_disk")
            ask(client, "PUT", "/carried-000001/_settings", body={"index": {"refresh_interval": "7s"}})
            ask(
                client, "PUT", "/carried-000001/_mapping", body={"properties": {"stock": {"type": "integer"}}}
            )
            cheap = {"range": {"price": {"lt": 50}}}
            actions = [
                {
                    "add": {
                        "index": "carried-000001",
                        "alias": "carried",
                        "filter": cheap,
                        "is_write_index": True,
                    }
                },
                {"add": {"index": "carried-000001", "alias": "carried-too", "search_routing": "a"}},
            ]
            ask(client, "POST", "/_aliases", body={"actions": actions})
            doc = {"doc": {"stock": 3, "from": {"shop": "a"}}}
            ask(client, "POST", "/carried-000001/_update/7", body=doc)
            old = ask(client, "GET", "/carried-000001")["carried-000001"]
            triton.versions["2"] = "e" * 64
            # No Triton stands behind this node's plugin, so there is no comparison to be had.
            said = shop.run("reindex", code=1).stderr
            assert "to answer the comparison's searches" in said
            assert list(ask(client, "GET", "/_alias/carried")) == ["carried-000001"]
            shop.run("reindex", "--queries", "0")
            new = ask(client, "GET", "/carried-000002")["carried-000002"]
            assert new["aliases"] == old["aliases"]
            assert ask(client, "GET", "/carried/_count")["count"] == 50
            documents = [ask(client, "GET", f"/carried-00000{n}/_doc/7")["_source"] for n in (1, 2)]
            assert documents[0] == documents[1]
            assert (documents[1]["stock"], documents[1]["from"]) == (3, {"shop": "a"})
            kept = ("number_of_shards", "refresh_interval", "auto_expand_replicas", "knn")
            assert {key: new["settings"]["index"][key] for key in kept} == {
                key: old["settings"]["index"][key] for key in kept
            }
            assert new["settings"]["index"]["number_of_shards"] == "3"
            assert new["mappings"]["properties"] == old["mappings"]["properties"]
            assert ask(client, "GET", "/carried-000001")["carried-000001"]["aliases"] == {}
        finally:
            ask(client, "DELETE", "/carried-000001")
            ask(client, "DELETE", "/carried-000002")
            client.close()
