"""What the real OpenSearch does when it refuses, drops, blocks or loses an index, and that a run says so.

The numbers in the names are those of the faults that each test was written for.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from mmsearch.cli.main import cli
from mmsearch.clients.opensearch import HttpError, ask, connect
from mmsearch.clients.triton import Encoder
from mmsearch.errors import BlockedError
from mmsearch.ingest import index_stage
from mmsearch.ingest.job import Job
from mmsearch.ingest.product_index.bulk import Bulk, Outcome, send
from mmsearch.ingest.product_index.target import Target
from mmsearch.ingest.reporting.stats import Report
from mmsearch.ingest.runner import run

from ..fakes.fake_triton import FakeTriton

if TYPE_CHECKING:
    from ..conftest import OpenSearchUnderTest

pytestmark = pytest.mark.integration
NAME, INDEX, PIPELINE = "losses", "losses-000001", "losses-pipeline"


class Shop:
    """A catalog, a fake encoder, and an index of the real node."""

    def __init__(self, folder: Path, triton: FakeTriton, url: str) -> None:
        self.path = folder / "catalog.jsonl"
        self.url = url
        self.triton = triton
        self.client = connect(url)
        self.job = Job(
            str(self.path),
            folder,
            folder / "rejects.jsonl",
            index=NAME,
            processes=0,
            patience=20.0,
            journal=folder / "journal",
        )

    def write(self, *lines: dict[str, Any]) -> None:
        self.path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    def ingest(self, **changes: Any) -> Report:
        encoder = Encoder(self.triton.url)
        try:
            return run(replace(self.job, **changes), encoder, self.client)
        finally:
            encoder.close()

    def source(self, identifier: str) -> dict[str, Any]:
        found: dict[str, Any] = ask(self.client, "GET", f"/{NAME}/_doc/{identifier}")["_source"]
        return found

    def ids(self) -> set[str]:
        ask(self.client, "POST", f"/{NAME}/_refresh")
        found = ask(self.client, "POST", f"/{NAME}/_search", body={"size": 1000, "_source": False})
        return {hit["_id"] for hit in found["hits"]["hits"]}

    def settings(self, **settings: Any) -> None:
        ask(self.client, "PUT", f"/{INDEX}/_settings", body={"index": settings})

    def pipeline(self, *processors: dict[str, Any]) -> None:
        ask(self.client, "PUT", f"/_ingest/pipeline/{PIPELINE}", body={"processors": list(processors)})
        self.settings(default_pipeline=PIPELINE)

    def clear(self) -> None:
        for path in (f"/{INDEX}", f"/_ingest/pipeline/{PIPELINE}"):
            with contextlib.suppress(HttpError):  # not there
                ask(self.client, "DELETE", path)


@pytest.fixture
def shop(opensearch: OpenSearchUnderTest, tmp_path: Path) -> Iterator[Shop]:
    with FakeTriton() as triton:
        found = Shop(tmp_path, triton, opensearch.url)
        found.clear()
        found.write(*({"id": str(n), "title": f"a-{n}", "price": n, "colour": "red"} for n in range(10)))
        yield found
        found.clear()
        found.client.close()


def test_loss_06_a_write_block_stops_the_run_and_a_watermark_is_waited_for(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.write({"id": "0", "title": "a"})
    shop.ingest()
    shop.write({"id": "1", "title": "b"})
    shop.settings(**{"blocks.write": True})
    with pytest.raises(BlockedError, match=r"index write \(api\)"):
        shop.ingest()
    shop.settings(**{"blocks.write": None, "blocks.read_only_allow_delete": True})
    seen: list[str] = []

    def lift(client: Any, target: Target, bulk: Bulk) -> Outcome:
        outcome = send(client, target, bulk)
        if outcome.again:
            seen.append(outcome.why)
            shop.settings(**{"blocks.read_only_allow_delete": None})
        return outcome

    monkeypatch.setattr(index_stage, "send", lift)
    report = shop.ingest()
    assert (report.indexed, report.rejected) == (1, 0)
    assert "cluster_block_exception" in seen[0]


def test_loss_07_an_index_that_is_deleted_meanwhile_ends_the_run(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(client: Any, target: Target, bulk: Bulk) -> Outcome:
        ask(client, "DELETE", f"/{INDEX}")
        return send(client, target, bulk)

    monkeypatch.setattr(index_stage, "send", gone)
    with pytest.raises(BlockedError, match="expected losses to exist during the run, got it deleted"):
        shop.ingest()


def test_loss_10_a_closed_index_is_one_sentence(shop: Shop) -> None:
    shop.ingest()
    ask(shop.client, "POST", f"/{INDEX}/_close")
    result = CliRunner().invoke(
        cli,
        ["ingest", str(shop.path), "--index", NAME, "--opensearch", shop.url, "--triton", shop.triton.url],
    )
    assert result.exit_code == 1
    assert result.stderr.startswith("mmsearch: expected ")
    assert "open the index by: POST /INDEX/_open" in result.stderr


def test_loss_18_and_20_pipelines_refuse_one_product_and_drop_another(shop: Shop) -> None:
    shop.write({"id": "first", "title": "a-0"})
    shop.ingest()
    shop.pipeline(
        {"drop": {"if": "ctx.title == 'drop-me'"}},
        {"dissect": {"field": "title", "pattern": "%{letter}-%{number}"}},
    )
    shop.write(
        *({"id": str(n), "title": f"a-{n}"} for n in range(5)),
        {"id": "odd", "title": "no pattern"},
        {"id": "gone", "title": "drop-me"},
    )
    report = shop.ingest()
    assert (report.indexed, report.rejected, report.dropped, report.exit_code) == (5, 1, 1, 3)
    entry = json.loads(shop.job.rejects.read_text())
    assert entry["id"] == "odd"
    assert "dissect pattern" in entry["message"]
    assert shop.ids() == {"first", "0", "1", "2", "3", "4"}


def test_loss_19_others_fields_stay_and_pipelines_run_on_every_write(shop: Shop) -> None:
    shop.ingest()
    added = {"popularity": 9, "attributes": {"stock": 3}}
    ask(shop.client, "POST", f"/{NAME}/_update/1", body={"doc": added})
    ask(shop.client, "POST", f"/{NAME}/_update/2", body={"doc": added})
    before = shop.source("1")["embedding"]
    shop.write({"id": "1", "title": "a-1", "price": 77, "size": "M"}, {"id": "2", "title": "b-2", "price": 2})
    assert shop.ingest().encoded == 1
    one, two = shop.source("1"), shop.source("2")
    assert (one["price"], one["popularity"], one["attributes"]) == (77, 9, {"stock": 3, "size": "M"})
    assert one["embedding"] == before
    assert (two["title"], two["popularity"], two["attributes"]) == ("b-2", 9, {"stock": 3})
    assert two["embedding"] != before
    shop.pipeline({"set": {"field": "cheap", "value": "{{price}}"}})
    shop.write({"id": "1", "title": "a-1", "price": 5}, {"id": "2", "title": "c-2", "price": 6})
    assert shop.ingest().encoded == 1
    one, two = shop.source("1"), shop.source("2")
    assert (float(one["cheap"]), one["popularity"], one["attributes"]) == (5, 9, {"stock": 3})
    assert one["embedding"] == before
    assert (float(two["cheap"]), two["popularity"]) == (6, 9)


def test_loss_21_the_root_cause_of_a_failed_search_is_printed(shop: Shop) -> None:
    shop.ingest()
    body = {"query": {"knn": {"embedding": {"vector": [1.0], "k": 3}}}}
    with pytest.raises(HttpError) as error:
        ask(shop.client, "POST", f"/{NAME}/_search", body=body)
    assert "all shards failed" not in error.value.sentence()
    assert "dimension" in error.value.sentence()


def test_partial_lines_and_deletions_on_the_real_node(shop: Shop) -> None:
    shop.ingest()
    before = {name: shop.source(name) for name in "123"}
    rows = shop.triton.rows
    shop.write(
        {"id": "1", "price": 50},
        {"id": "2", "stock": 4},
        {"id": "3", "price": 3},
        {"id": "none", "price": 1},
        {"id": "4", "_delete": True},
        {"id": "never", "_delete": True},
    )
    report = shop.ingest(partial=True)
    assert (report.indexed, report.unchanged, report.deleted, report.missing) == (3, 0, 1, 1)
    assert report.reasons == {"not_there": 1}
    assert shop.triton.rows == rows
    assert shop.source("1") == {**before["1"], "price": 50, "ingest": {**before["1"]["ingest"], "fields": ""}}
    assert shop.source("2")["attributes"] == {"colour": "red", "stock": 4}
    assert shop.source("2")["embedding"] == before["2"]["embedding"]
    # The same once more: the prices are so already.
    assert shop.ingest(partial=True).unchanged == 3
    ids = shop.path.with_name("ids.txt")
    ids.write_text("5\n6\nnever\n", encoding="utf-8")
    result = CliRunner().invoke(cli, ["delete", "--ids", str(ids), "--index", NAME, "--opensearch", shop.url])
    assert (result.exit_code, result.stdout) == (0, "2 deleted, 1 not found\n")
    assert shop.ids() == set("0123789")


def test_loss_05_a_sync_counts_what_it_deleted(shop: Shop) -> None:
    shop.ingest()
    shop.write(*({"id": str(n), "title": f"a-{n}", "price": n, "colour": "red"} for n in range(8)))
    report = shop.ingest(sync=0.5)
    assert (report.deleted, report.not_deleted, report.unchanged) == (2, 0, 8)
    assert shop.ids() == set("01234567")
