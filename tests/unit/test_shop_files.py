"""A shop's own mapping and settings beside ours, and an index of the shop's own that becomes one of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import mmsearch
from mmsearch.cli.main import cli
from mmsearch.errors import MismatchError
from mmsearch.ingest.schema.shop_files import ShopFiles

from ..fakes.fake_opensearch import FakeOpenSearch
from ..fakes.fake_triton import FakeTriton
from ..fakes.ingesting import Catalog
from ..fakes.reindexing import Shop, ingested

MAPPING = {
    "dynamic_templates": [{"codes": {"match": "*_code", "mapping": {"type": "keyword"}}}],
    "_meta": {"team": "search"},
    "properties": {
        "title": {"boost": 3, "fields": {"sort": {"type": "keyword"}}},
        "brand": {"analyzer": "brands"},
        "popularity": {"type": "rank_feature"},
    },
}
SETTINGS = {
    "index.analysis.analyzer.brands.type": "keyword",
    "analysis": {"filter": {"mmsearch_synonyms": {"synonyms": ["couch, sofa"]}}},
    "index": {"number_of_replicas": 2, "refresh_interval": "30s"},
}


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with FakeTriton() as triton, FakeOpenSearch() as node:
        made = Catalog(tmp_path, triton, node)
        made.write({"id": "1", "title": "Oak chair"})
        yield made


def ingest(catalog: Catalog, *options: str, mapping: Any = None, settings: Any = None) -> Result:
    for name, content in (("mapping", mapping), ("settings", settings)):
        if content is not None:
            path = catalog.folder / f"{name}.json"
            path.write_text(content if isinstance(content, str) else json.dumps(content))
            options += (f"--{name}", str(path))
    servers = ("--opensearch", catalog.node.url, "--triton", catalog.triton.url, "--processes", "0")
    return CliRunner().invoke(cli, ["ingest", str(catalog.path), *servers, *options])


def test_the_shops_fields_and_settings_are_merged_into_ours(catalog: Catalog) -> None:
    done = ingest(catalog, "--language", "en", mapping=MAPPING, settings=SETTINGS)
    assert done.exit_code == 0, done.output
    body = catalog.node.indices["products-000001"]
    properties = body["mappings"]["properties"]
    assert properties["title"]["boost"] == 3
    assert set(properties["title"]["fields"]) == {"exact", "sort"}
    assert properties["title"]["search_analyzer"] == "mmsearch_en_query"
    # An analyser of the shop's own is that of queries too.
    assert properties["brand"]["analyzer"] == "brands"
    assert "search_analyzer" not in properties["brand"]
    assert properties["popularity"] == {"type": "rank_feature"}
    assert properties["embedding"]["type"] == "knn_vector"
    assert body["mappings"]["_meta"]["team"] == "search"
    assert body["mappings"]["dynamic_templates"][0] == MAPPING["dynamic_templates"][0]
    index = body["settings"]["index"]
    assert (index["knn"], index["number_of_replicas"], index["refresh_interval"]) == (True, 2, "30s")
    assert "auto_expand_replicas" not in index
    assert index["analysis"]["analyzer"]["brands"] == {"type": "keyword"}
    assert index["analysis"]["filter"]["mmsearch_synonyms"] == {
        "type": "synonym_graph", "synonym_analyzer": "mmsearch_plain", "synonyms": ["couch, sofa"]
    }  # fmt: skip
    assert "mmsearch_synonyms" in index["analysis"]["analyzer"]["mmsearch_en_query"]["filter"]
    assert "mmsearch_synonyms" not in index["analysis"]["analyzer"]["mmsearch_en"]["filter"]


def test_the_whole_body_of_an_index_is_taken_too() -> None:
    body = {"settings": {"index": {"analysis": {"analyzer": {"a": {}}}}}, "mappings": {"dynamic": "strict"}}
    assert ShopFiles.read(body, body) == ShopFiles(
        {"dynamic": "strict"}, {"analysis": {"analyzer": {"a": {}}}}
    )


@pytest.mark.parametrize(
    ("mapping", "settings", "told"),
    [
        ({"properties": {"title": {"type": "keyword"}}}, None, "to have title as text, .* got keyword"),
        ({"properties": {"price": {"type": "text"}}}, None, "to have price as float, .* got text"),
        ({"properties": {"embedding": {"dimension": 3}}}, None, "without the field embedding"),
        ({"properties": {"ingest": {"properties": {}}}}, None, "without the field ingest"),
        ({"_source": {"excludes": ["x"]}}, None, r"keep the whole _source, .* got _source\.excludes"),
        ({"_source": {"enabled": False}}, None, "keep the whole _source"),
        ({"_routing": {"required": True}}, None, "without required routing"),
        ({"_meta": {"mmsearch": {}}}, None, r"without _meta\.mmsearch"),
        (None, {"index.knn": False}, r"with index\.knn true or none, got false"),
        (None, {"analysis": {"analyzer": {"mmsearch_en": {}}}}, r"got analyzer\.mmsearch_en"),
        (None, {"similarity": {"mmsearch_long": {}}}, r"got similarity\.mmsearch_long"),
        (None, {"number_of_shards": 3}, "got --shards 2 and number_of_shards 3"),
        ("[1]", None, "a JSON object in .*mapping.json for --mapping, got list"),
        (None, "{", "expected JSON in .*settings.json for --settings"),
    ],
)
def test_a_contradiction_is_one_sentence(catalog: Catalog, mapping: Any, settings: Any, told: str) -> None:
    done = ingest(catalog, "--shards", "2", "--language", "en", mapping=mapping, settings=settings)
    assert done.exit_code == 1
    assert catalog.node.indices == {}
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("mmsearch: expected ")
    assert re.search(told, sentence), sentence


def test_a_file_that_is_not_there_is_one_sentence(catalog: Catalog) -> None:
    done = ingest(catalog, "--mapping", "nowhere.json")
    assert done.exit_code == 1
    assert "expected a JSON file for --mapping at nowhere.json, got: No such file" in done.stderr


def test_the_same_files_again_are_taken_and_others_are_refused(catalog: Catalog) -> None:
    for _ in range(2):
        assert ingest(catalog, "--language", "en", mapping=MAPPING).exit_code == 0
    assert ingest(catalog).exit_code == 0
    done = ingest(catalog, mapping={"properties": {}, "dynamic": "strict"})
    assert "to be made with these --mapping and --settings, got others" in done.stderr
    assert "mmsearch reindex" in done.stderr


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with ingested(tmp_path, monkeypatch) as made:
        yield made


def test_reindex_takes_files_and_keeps_those_of_before(shop: Shop) -> None:
    for name, content in (("m", MAPPING), ("s", SETTINGS)):
        (shop.folder / f"{name}.json").write_text(json.dumps(content))
    files = ("--mapping", str(shop.folder / "m.json"), "--settings", str(shop.folder / "s.json"))
    shop.run("reindex", *files, "--language", "en")
    made = shop.node.indices["products-000002"]
    assert made["mappings"]["properties"]["title"]["boost"] == 3
    assert made["settings"]["index"]["number_of_replicas"] == 2
    shop.run("reindex", "--language", "de")
    kept = shop.node.indices["products-000003"]
    assert kept["mappings"]["properties"]["title"]["boost"] == 3
    assert kept["mappings"]["properties"]["title"]["analyzer"] == "mmsearch_de"
    assert kept["mappings"]["properties"]["brand"]["analyzer"] == "brands"
    analysis = kept["settings"]["index"]["analysis"]
    assert "mmsearch_synonyms" in analysis["analyzer"]["mmsearch_de_query"]["filter"]
    assert analysis["filter"]["mmsearch_synonyms"]["synonyms"] == ["couch, sofa"]


OWN: dict[str, Any] = {
    "settings": {"index": {"knn": "true", "analysis": {"analyzer": {"default": {"type": "german"}}}}},
    "mappings": {
        "dynamic": "strict",
        "_meta": {"team": "shop"},
        "properties": {
            "title": {"type": "text", "analyzer": "german"},
            "category": {"type": "text"},
            "price": {"type": "scaled_float", "scaling_factor": 100},
            "stock": {"type": "integer"},
        },
    },
}


def own(**fields: Any) -> dict[str, Any]:
    body = json.loads(json.dumps(OWN))
    body["mappings"]["properties"] |= fields
    return dict(body)


def test_an_index_of_the_shops_own_gets_what_it_lacks(catalog: Catalog) -> None:
    catalog.node.create("theirs", {**own(), "aliases": {"products": {}}})
    catalog.node.put("theirs", "1", {"title": "old", "stock": 4, "attributes": {"x": 1}})
    catalog.write({"id": "1", "title": "Eichenstuhl", "colour": "oak"}, {"id": "2", "title": "Tisch"})
    dry = ingest(catalog, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert set(catalog.node.indices["theirs"]["mappings"]["properties"]) == set(OWN["mappings"]["properties"])
    done = ingest(catalog)
    assert done.exit_code == 0, done.output
    assert "theirs was not created by mmsearch; its fields and analyzers stay" in done.stderr
    mappings = catalog.node.indices["theirs"]["mappings"]
    properties = mappings["properties"]
    assert properties["title"] == OWN["mappings"]["properties"]["title"]
    assert properties["category"] == {
        "type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 512}}
    }  # fmt: skip
    assert properties["price"] == OWN["mappings"]["properties"]["price"]
    assert properties["embedding"]["dimension"] == 8
    assert {"description", "brand", "attributes", "ingest"} <= set(properties)
    assert mappings["_meta"]["team"] == "shop"
    assert mappings["_meta"]["mmsearch"]["fields"]["embedding"]["dimension"] == 8
    first = catalog.node.sources()["1"]
    assert (first["title"], first["stock"]) == ("Eichenstuhl", 4)
    assert first["attributes"] == {"x": 1, "colour": "oak"}
    again = ingest(catalog)
    assert "2 indexed" in again.stdout
    assert "0 encoded, 2 unchanged" in again.stdout
    assert "your own" not in again.stderr


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"title": {"type": "keyword"}}, "to have title as text, got keyword"),
        ({"price": {"type": "text"}}, "to have price as float, got text"),
        ({"attributes": {"type": "nested"}}, "to have attributes as object, got nested"),
        ({"other_attributes": {"type": "keyword"}}, "to have other_attributes as flat_object, got keyword"),
        ({"embedding": {"type": "knn_vector", "dimension": 3}}, "of 8 floats, got knn_vector of 3 floats"),
        ({"embedding": {"type": "knn_vector", "dimension": 8}}, "got knn_vector of 8 floats by l2"),
    ],
)
def test_an_index_whose_fields_do_not_fit_is_one_sentence(
    catalog: Catalog, fields: dict[str, Any], told: str
) -> None:
    catalog.node.create("products", own(**fields))
    before = json.dumps(catalog.node.indices)
    for options in ((), ("--dry-run",)):
        done = ingest(catalog, *options)
        assert done.exit_code == 1
        assert told in done.stderr
        assert done.stderr.strip().endswith("by: mmsearch reindex CATALOG --index ALIAS")
    assert json.dumps(catalog.node.indices) == before


def test_an_index_without_k_nn_is_one_sentence(catalog: Catalog) -> None:
    catalog.node.create("products", {"mappings": {}})
    done = ingest(catalog)
    assert done.exit_code == 1
    assert (
        "expected products to have index.knn: true, which can only be set when an index is created"
        in done.stderr
    )
    assert "mmsearch reindex CATALOG --index ALIAS" in done.stderr


def test_reindex_builds_the_successor_of_an_index_of_the_shops_own(catalog: Catalog) -> None:
    body = own(title={"type": "keyword"})
    del body["settings"]["index"]["knn"]
    catalog.node.create("theirs", {**body, "aliases": {"products": {}}})
    catalog.node.put("theirs", "1", {"title": "old", "stock": 4})
    servers = ("--opensearch", catalog.node.url, "--triton", catalog.triton.url)
    unnamed = CliRunner().invoke(cli, ["reindex", *servers])
    assert "name it: mmsearch reindex CATALOG" in unnamed.stderr
    done = CliRunner().invoke(cli, ["reindex", str(catalog.path), *servers, "--language", "de"])
    assert done.exit_code == 0, done.output
    assert catalog.node.aliases == {"products": "products-000001"}
    made = catalog.node.indices["products-000001"]
    assert made["settings"]["index"]["knn"] is True
    assert made["mappings"]["properties"]["title"]["analyzer"] == "mmsearch_de"
    assert made["mappings"]["properties"]["stock"] == {"type": "integer"}
    source = catalog.node.sources()["1"]
    assert (source["title"], source["stock"]) == ("Oak chair", 4)


def test_the_api_takes_dicts(catalog: Catalog) -> None:
    with mmsearch.Client(catalog.node.url, triton=catalog.triton.url) as shop:
        report = shop.ingest(
            [{"id": "1", "title": "Oak chair"}], language="en", mapping=MAPPING, settings=SETTINGS
        )
    assert report.indexed == 1
    assert catalog.node.indices["products-000001"]["mappings"]["properties"]["popularity"]
    with pytest.raises(MismatchError, match="to have title as text"):
        ShopFiles.read({"properties": {"title": {"type": "keyword"}}}).merge(
            {"settings": {"index": {}}, "mappings": {"properties": {"title": {"type": "text"}}}}
        )
