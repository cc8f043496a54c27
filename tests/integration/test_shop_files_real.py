"""A shop's own mapping, settings and index on a real node."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mmsearch.cli.main import cli
from mmsearch.clients.opensearch import ask, connect

PRODUCTS = (
    {"id": "1", "title": "Red sofas", "brand": "Hay & Co"},
    {"id": "2", "title": "Desk", "description": "A desk that is no sofa", "colour": "oak"},
)
MAPPING = {
    "properties": {
        "title": {"boost": 3, "fields": {"sort": {"type": "keyword"}}},
        "brand": {"analyzer": "single"},
        "popularity": {"type": "rank_feature"},
    }
}
SETTINGS = {
    "index.number_of_replicas": 0,
    "analysis": {
        "analyzer": {"single": {"type": "custom", "tokenizer": "keyword", "filter": ["lowercase"]}},
        "filter": {"mmsearch_synonyms": {"synonyms": ["couch, sofa"]}},
    },
}
Run = Callable[..., Result]


@pytest.fixture
def run(stack: Any, tmp_path: Path) -> Run:
    """A command over an index; without a code it succeeds."""
    (tmp_path / "catalog.jsonl").write_text("".join(json.dumps(each) + "\n" for each in PRODUCTS))

    def ran(index: str, *arguments: str, code: int = 0) -> Result:
        environment = {**stack.environment, "MMSEARCH_INDEX": index}
        done = CliRunner(env=environment).invoke(cli, list(arguments))
        assert done.exit_code == code, done.output
        return done

    return ran


def found(run: Run, index: str, words: str, mode: str) -> list[str]:
    lines = run(index, "search", words, "--mode", mode, "--json").stdout.splitlines()
    return [json.loads(line)["_id"] for line in lines]


@pytest.mark.integration
def test_the_node_takes_a_shops_mapping_and_settings(stack: Any, run: Run, tmp_path: Path) -> None:
    for name, content in (("m", MAPPING), ("s", SETTINGS)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    files = ("--mapping", str(tmp_path / "m.json"), "--settings", str(tmp_path / "s.json"))
    catalog, index = str(tmp_path / "catalog.jsonl"), "own-fields"
    client = connect(stack.opensearch.url)
    try:
        run(index, "ingest", catalog, "--language", "en", *files)
        run(index, "ingest", catalog, *files)
        assert found(run, index, "couch", "lexical")[0] == "1"
        assert found(run, index, "hay & co", "lexical") == ["1"]
        run(index, "reindex", "--language", "de", "--queries", "0")
        assert found(run, index, "couch", "lexical") == ["2"]
        mapping = ask(client, "GET", f"/{index}/_mapping")[f"{index}-000002"]["mappings"]
        assert mapping["properties"]["title"]["boost"] == 3.0
        assert mapping["properties"]["title"]["analyzer"] == "mmsearch_de"
        assert mapping["properties"]["brand"]["analyzer"] == "single"
    finally:
        ask(client, "DELETE", f"/{index}-000001,{index}-000002", params={"ignore_unavailable": "true"})
        client.close()


@pytest.mark.integration
def test_an_index_of_the_shops_own_is_searched_by_meaning(stack: Any, run: Run, tmp_path: Path) -> None:
    catalog = str(tmp_path / "catalog.jsonl")
    properties = {"title": {"type": "text", "analyzer": "german"}, "stock": {"type": "integer"}}
    client = connect(stack.opensearch.url)
    try:
        body = {"settings": {"index.knn": True}, "mappings": {"dynamic": "strict", "properties": properties}}
        ask(client, "PUT", "/own-index", body=body)
        ask(client, "PUT", "/own-index/_doc/1", body={"title": "old", "stock": 4}, params={"refresh": "true"})
        assert "was not created by mmsearch" in run("own-index", "ingest", catalog).stderr
        assert found(run, "own-index", "red couch", "neural")[0] == "1"
        assert set(found(run, "own-index", "sofas", "lexical")) >= {"1"}
        assert ask(client, "GET", "/own-index/_doc/1")["_source"]["stock"] == 4
        assert "0 encoded, 2 unchanged" in run("own-index", "ingest", catalog).stdout
        ask(client, "PUT", "/own-plain", body={"mappings": {"properties": properties}})
        ask(client, "PUT", "/own-plain/_alias/own-alias")
        refused = run("own-alias", "ingest", catalog, code=1).stderr
        assert "expected own-plain to have index.knn: true" in refused
        run("own-alias", "reindex", catalog)
        assert found(run, "own-alias", "red couch", "neural")[0] == "1"
    finally:
        names = "/own-index,own-plain,own-alias-000001"
        ask(client, "DELETE", names, params={"ignore_unavailable": "true"})
        client.close()
