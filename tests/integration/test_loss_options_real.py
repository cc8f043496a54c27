"""Options on the real OpenSearch: its mapping is read as what made it, and a tenant's sync is its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mmsearch.cli.main import cli
from mmsearch.clients.opensearch import ask, connect
from mmsearch.ingest.product_index.storage import Storage

from ..fakes.fake_triton import FakeTriton
from ..unit.test_storage import MAPPINGS


@pytest.mark.integration
@pytest.mark.parametrize("asked", [asked for asked, _ in MAPPINGS], ids="-".join)
def test_loss_12_the_real_nodes_mapping_is_read_as_the_storage_that_made_it(
    asked: tuple[str, str, str], opensearch: Any
) -> None:
    client = connect(opensearch.url)
    body = {
        "settings": {"index": {"knn": True}},
        "mappings": {"properties": {"embedding": Storage(*asked).field(8)}},
    }
    try:
        ask(client, "PUT", "/loss-12", body=body)
        kept = ask(client, "GET", "/loss-12")["loss-12"]["mappings"]["properties"]["embedding"]
        assert Storage.of(kept) == Storage(*asked)
    finally:
        ask(client, "DELETE", "/loss-12", params={"ignore_unavailable": "true"})
        client.close()


@pytest.mark.integration
def test_loss_16_a_tenants_sync_leaves_the_other_tenants_products(
    opensearch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two shops' filtered aliases on one index of the real node."""
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path / "cache"))
    client = connect(opensearch.url)
    with FakeTriton() as triton:
        servers = ("--opensearch", opensearch.url, "--triton", triton.url, "--processes", "0")

        def ingest(file: Path, *options: str) -> Result:
            return CliRunner().invoke(cli, ["ingest", str(file), *servers, *options])

        def shop(country: str, count: int) -> Path:
            file = tmp_path / f"{country}.jsonl"
            lines = ({"id": f"{country}{n}", "title": f"chair {n}", "brand": country} for n in range(count))
            file.write_text("".join(json.dumps(line) + "\n" for line in lines))
            return file

        german, french = shop("de", 20), shop("fr", 300)
        try:
            for file in (german, french):
                assert ingest(file, "--index", "tenants").exit_code == 0
            actions = [
                {
                    "add": {
                        "index": "tenants-000001",
                        "alias": f"shop-{country}",
                        "filter": {"term": {"brand.keyword": country}},
                    }
                }
                for country in ("de", "fr")
            ]
            ask(client, "POST", "/_aliases", body={"actions": actions})
            done = ingest(french, "--index", "shop-fr", "--sync")
            assert done.exit_code == 1
            assert "got one with a filter; use --index tenants-000001" in done.stderr
            assert ask(client, "GET", "/shop-de/_count")["count"] == 20
            assert ask(client, "GET", "/shop-fr/_count")["count"] == 300
        finally:
            ask(client, "DELETE", "/tenants-000001")
            client.close()
