"""The index that `mmsearch reindex` makes is as the old one was, behind the same aliases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..fakes.reindexing import Shop, ingested, products


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with ingested(tmp_path, monkeypatch) as made:
        yield made


def test_loss_02_settings_storage_and_shards_are_kept(shop: Shop) -> None:
    old = shop.node.indices["products-000001"]
    field = old["mappings"]["properties"]["embedding"]
    field["method"] |= {"engine": "faiss", "parameters": {"m": 32, "encoder": {"name": "sq"}}}
    old["mappings"]["properties"]["popularity"] = {"type": "rank_feature"}
    old["mappings"]["properties"]["title"]["analyzer"] = "german"
    old["mappings"]["dynamic"] = "strict"
    old["mappings"]["_meta"]["team"] = "search"
    made = dict(old["settings"]["index"])
    analysis = {"analyzer": {"german": {"type": "german"}, "mmsearch_en": {"type": "gone"}}}
    old["settings"]["index"] = {
        "knn": "true", "number_of_shards": "3", "number_of_replicas": "2", "refresh_interval": "30s",
        "analysis": analysis, "similarity": {"flat": {"type": "boolean"}},
        "default_pipeline": "stamp", "uuid": "u", "creation_date": "1",
        "provided_name": "products-000001", "version": {"created": "1"}, "blocks": {"write": "true"},
        "routing": {"allocation": {"initial_recovery": {"_id": "gone"}, "include": {"box": "hot"}}},
    }  # fmt: skip
    shop.run("reindex")
    new = shop.node.indices["products-000002"]
    ours = made["analysis"]
    assert new["settings"]["index"] == {
        "knn": "true", "number_of_shards": "3", "number_of_replicas": "2", "refresh_interval": "30s",
        "analysis": {**ours, "analyzer": {**ours["analyzer"], "german": {"type": "german"}}},
        "similarity": {**made["similarity"], "flat": {"type": "boolean"}}, "default_pipeline": "stamp",
        "routing": {"allocation": {"include": {"box": "hot"}}},
    }  # fmt: skip
    properties = new["mappings"]["properties"]
    assert properties["embedding"] == field
    assert properties["popularity"] == {"type": "rank_feature"}
    assert properties["title"] == {"type": "text", "analyzer": "german"}
    assert (new["mappings"]["dynamic"], new["mappings"]["_meta"]["team"]) == ("strict", "search")


def test_loss_02_what_others_wrote_into_the_documents_is_carried(shop: Shop) -> None:
    old = shop.node.documents["products-000001"]
    for identifier, fields in (("3", {"popularity": 7, "stock": {"store": 2}}), ("4", {"stamp": "x"})):
        old[identifier] |= fields
    shop.write(*(each for each in products(30) if each["sku"] != "4"))
    left = [429, 503]

    def once(identifier: str) -> int:
        put_off = shop.node.documents.get("products-000002", {}).keys() >= {"3"} and identifier == "3"
        return left.pop() if put_off and left else 0

    shop.node.item_fault = once
    done = shop.run("reindex", "--allow-fewer", "1")
    assert not left
    new = shop.node.sources()
    assert (new["3"]["popularity"], new["3"]["stock"]) == (7, {"store": 2})
    assert set(new["5"]) == set(old["5"])
    assert "4" not in new
    assert "mmsearch: 1 products keep the fields that others have written into products-000001" in done.stderr


def test_loss_02_attributes_that_a_partial_feed_brought_are_carried(shop: Shop) -> None:
    feed = shop.folder / "stock.jsonl"
    feed.write_text('{"id": "3", "stock": 4, "colour": "red"}\n')
    shop.run("ingest", str(feed), "--partial", "--processes", "0")
    assert shop.node.sources()["3"]["attributes"] == {"stock": 4, "colour": "red"}
    shop.write(*(each | ({"colour": "oak"} if each["sku"] == "3" else {}) for each in products(30)))
    shop.run("reindex")
    new = shop.node.sources()["3"]
    assert new["attributes"] == {"stock": 4, "colour": "oak"}
    assert new["ingest"]["attributes"] == ["colour"]


def test_loss_02_fields_of_others_that_are_refused_keep_the_alias(shop: Shop) -> None:
    shop.node.documents["products-000001"]["3"]["popularity"] = 7

    def refused(identifier: str) -> int:
        return 400 if "3" in shop.node.documents.get("products-000002", {}) and identifier == "3" else 0

    shop.node.item_fault = refused
    assert "to take the fields popularity of product '3', got 400 fault_400" in shop.refused()


def test_loss_02_what_is_told_is_changed_and_nothing_else(shop: Shop) -> None:
    shop.node.indices["products-000001"]["settings"]["index"]["refresh_interval"] = "30s"
    options = ("--shards", "6", "--knn-encoder", "byte", "--vectors", "embedding,text_embedding")
    shop.run("reindex", *options)
    new = shop.node.indices["products-000002"]
    assert new["settings"]["index"]["number_of_shards"] == 6
    assert new["settings"]["index"]["refresh_interval"] == "30s"
    encoder = {"name": "sq", "parameters": {"bits": 7}}
    for name, dimension in (("embedding", 8), ("text_embedding", 4)):
        assert new["mappings"]["properties"][name] == {
            "type": "knn_vector", "dimension": dimension,
            "method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil",
                       "parameters": {"encoder": encoder}},
        }  # fmt: skip
    shop.run("reindex", "--knn-encoder", "float", "--vectors", "embedding")
    newest = shop.node.indices["products-000003"]
    assert "parameters" not in newest["mappings"]["properties"]["embedding"]["method"]
    assert "text_embedding" not in newest["mappings"]["properties"]
    assert newest["settings"]["index"]["number_of_shards"] == 6


def test_loss_17_aliases_move_with_their_properties(shop: Shop) -> None:
    shop.node.aliases |= {"shop-fr": "products-000001", "all": "products-000001"}
    properties = {
        "products": {"filter": {"range": {"price": {"lt": 50}}}, "is_write_index": True},
        "shop-fr": {"filter": {"term": {"brand": "fr"}}, "index_routing": "fr", "search_routing": "fr,de"},
    }
    shop.node.alias_properties.update(properties)
    done = shop.run("reindex")
    assert shop.node.aliases == dict.fromkeys(("products", "shop-fr", "all"), "products-000002")
    assert {name: shop.node.alias_properties[name] for name in properties} == properties
    assert done.stdout.splitlines()[-1] == (
        "products and all and shop-fr are products-000002 now; products-000001 stays until you delete it"
    )


OF_3_5 = {
    "type": "knn_vector",
    "dimension": 8,
    "method": {
        "name": "hnsw",
        "engine": "faiss",
        "space_type": "cosinesimil",
        "parameters": {"m": 24, "encoder": {"name": "sq", "parameters": {"type": "fp16"}}},
    },
}


def test_loss_02_half_floats_of_an_older_k_nn_stay_half_floats(shop: Shop) -> None:
    shop.node.indices["products-000001"]["mappings"]["properties"]["embedding"] = OF_3_5
    shop.run("reindex")
    assert shop.node.indices["products-000002"]["mappings"]["properties"]["embedding"] == {
        "type": "knn_vector",
        "dimension": 8,
        "compression_level": "2x",
        "method": {
            "name": "hnsw", "engine": "faiss", "space_type": "cosinesimil", "parameters": {"m": 24},
        },
    }  # fmt: skip
