"""A snapshot of a real index, restored under another name: encoder, fingerprint and vectors come back."""

from __future__ import annotations

import json
import urllib.error
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sample_data import drawn

from mmsearch.cli.main import cli

from ..fakes.asking import ask

pytestmark = pytest.mark.integration
INDEX = "snapped"
QUERY = {"query": {"neural": {"embedding": {"query_text": "a red ball", "k": 5}}}, "size": 5}


@pytest.fixture(scope="module")
def url(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The node with a snapshot of an index of the encoder served, and of a copy by another encoder."""
    catalog = drawn.write_catalog(tmp_path_factory.mktemp("drawn"))
    environment = {**stack.environment, "MMSEARCH_INDEX": INDEX}
    ingested = CliRunner(env=environment).invoke(cli, ["ingest", str(catalog)])
    assert ingested.exit_code == 0, ingested.output
    url: str = stack.opensearch.url
    (index,) = ask(url, "GET", f"/{INDEX}-000001").values()
    mapping = index["mappings"]
    mapping["_meta"]["mmsearch"]["fields"]["embedding"]["fingerprint"] = "0" * 64
    named = {key: index["settings"]["index"].get(key, {}) for key in ("analysis", "similarity")}
    body = {"settings": {"index": {"knn": True, "number_of_replicas": 0, **named}}, "mappings": mapping}
    ask(url, "PUT", f"/{INDEX}-other", body)
    location = {"type": "fs", "settings": {"location": "tested"}}
    ask(url, "PUT", "/_snapshot/tested", location)
    wanted = {"indices": f"{INDEX}-000001,{INDEX}-other", "include_global_state": False}
    taken = ask(url, "PUT", "/_snapshot/tested/monday?wait_for_completion=true", wanted)
    assert taken["snapshot"]["state"] == "SUCCESS"
    renamed = {
        "rename_pattern": f"{INDEX}-(.+)",
        "rename_replacement": "come-back-$1",
        "include_aliases": False,
    }
    path = "/_snapshot/tested/monday/_restore?wait_for_completion=true"
    restored = ask(url, "POST", path, wanted | renamed)
    assert restored["snapshot"]["shards"]["failed"] == 0
    return url


def mappings(url: str, index: str) -> Any:
    return ask(url, "GET", f"/{index}/_mapping")[index]["mappings"]


def test_the_fingerprint_and_the_vectors_are_intact(url: str) -> None:
    before, after = mappings(url, f"{INDEX}-000001"), mappings(url, "come-back-000001")
    assert after == before
    assert len(after["_meta"]["mmsearch"]["fields"]["embedding"]["fingerprint"]) == 64
    every = {"size": 100, "sort": ["_doc"], "_source": ["embedding", "ingest"]}
    stored, come = (
        {hit["_id"]: hit["_source"] for hit in ask(url, "POST", f"/{index}/_search", every)["hits"]["hits"]}
        for index in (f"{INDEX}-000001", "come-back-000001")
    )
    assert len(stored) == len(drawn.COLOURS) * len(drawn.SHAPES)
    assert come == stored


def test_a_query_by_meaning_finds_the_same(url: str) -> None:
    before, after = (
        [(hit["_id"], hit["_score"]) for hit in ask(url, "POST", f"/{index}/_search", QUERY)["hits"]["hits"]]
        for index in (INDEX, "come-back-000001")
    )
    assert len(after) == 5
    assert after == before


def test_ingest_goes_on_with_the_restored_index(url: str, stack: Any, tmp_path: Path) -> None:
    catalog = drawn.write_catalog(tmp_path)
    arguments = ["ingest", str(catalog), "--index", "come-back-000001", "--json"]
    result = CliRunner(env=stack.environment).invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout.splitlines()[-1])
    assert (summary["unchanged"], summary["encoded"]) == (summary["read"], 0)


def test_an_index_of_another_encoder_is_still_refused(url: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(url, "POST", "/come-back-other/_search", QUERY)
    assert refused.value.code == 400
    reason = json.load(refused.value)["error"]["reason"]
    assert "0" * 64 in reason
    assert (
        mappings(url, "come-back-000001")["_meta"]["mmsearch"]["fields"]["embedding"]["fingerprint"] in reason
    )
