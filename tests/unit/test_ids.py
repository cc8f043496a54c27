"""An id is the same in catalogs, judgments, pairs, events, runs and deletions, however it is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mmsearch.api.judged import Asked
from mmsearch.cli.main import cli
from mmsearch.errors import MmsearchError, RecordError
from mmsearch.evaluation.exchange import trec, ubi, workbench
from mmsearch.evaluation.exchange.judged_file import read_judgments
from mmsearch.evaluation.judgments import from_records
from mmsearch.products.ids import identifier
from mmsearch.products.record import Line, parse

from ..fakes.fake_opensearch import FakeOpenSearch
from ..fakes.fake_triton import FakeTriton
from ..fakes.ingesting import Catalog

SAME: list[Any] = [
    77,
    77.0,
    "77",
    " 77 ",
    "\t77\r",
    "\u00a077",
    {"#text": " 77", "@kind": "x"},
    {"$oid": "77"},
]
OTHER: list[Any] = [True, False, 7.5, 1e300, [], ["77"], {}, {"@kind": "x"}]


@pytest.mark.parametrize("written", SAME)
def test_one_id_in_every_reader(tmp_path: Path, written: Any) -> None:
    assert identifier(written) == "77"
    assert parse(Line(1, json.dumps({"id": written}).encode())).id == "77"
    judged = {"query": "chair", "product_id": written, "label": "E"}
    file = tmp_path / "j.jsonl"
    file.write_text(json.dumps(judged), encoding="utf-8")
    for judgments in (read_judgments(file), from_records([judged])):
        assert judgments.labels == {"chair": {"77": "E"}}
    event = {
        "action_name": "purchase",
        "query_id": "q",
        "event_attributes": {"object": {"object_id": written}},
    }
    imported = ubi.from_events([{"query_id": "q", "user_query": "chair"}], [event])
    assert imported.judgments.purchases == {"chair": {"77": 1}}
    listed = {"judgmentRatings": [{"query": "chair", "ratings": [{"docId": written, "rating": 1}]}]}
    assert workbench.read(listed).grades == {"chair": {"77": 1}}


@pytest.mark.parametrize("written", SAME)
def test_one_id_in_training_pairs(tmp_path: Path, written: Any) -> None:
    from mmsearch.training.pairs import read_pairs

    pair = {"query": "chair", "product_id": written, "negatives": [written, 8]}
    file = tmp_path / "p.jsonl"
    file.write_text(json.dumps(pair), encoding="utf-8")
    for pairs in (read_pairs(file), read_pairs([pair])):
        assert (pairs[0].product, pairs[0].negatives) == ("77", ("77", "8"))


@pytest.mark.parametrize("written", OTHER, ids=repr)
def test_what_is_no_id_is_refused_with_a_reason(written: Any) -> None:
    from mmsearch.training.pairs import read_pairs

    with pytest.raises(RecordError, match="expected a string or an integer in `id` on line 1") as rejected:
        parse(Line(1, json.dumps({"id": written}).encode()))
    assert rejected.value.reason == "wrong_type"
    with pytest.raises(MmsearchError, match="expected a string or an integer in `product_id`"):
        from_records([{"query": "chair", "product_id": written, "label": "E"}])
    with pytest.raises(MmsearchError, match="product_id"):
        read_pairs([{"query": "chair", "product_id": written}])
    event = {
        "action_name": "purchase",
        "query_id": "q",
        "event_attributes": {"object": {"object_id": written}},
    }
    imported = ubi.from_events([{"query_id": "q", "user_query": "chair"}], [event])
    assert imported.skipped == {"no object_id": 1}


def test_query_ids_and_runs(tmp_path: Path) -> None:
    assert list(from_records([{"query_id": 7, "product_id": 1, "grade": 1}]).queries) == ["7"]
    assert list(from_records([{"query": " oak ", "product_id": 1, "grade": 1}]).queries) == ["oak"]
    import pandas as pd

    frame = pd.DataFrame({"query": ["oak"], "product_id": [77.0], "score": [1.0]})
    run = Asked({"x": frame}, None, 10).systems[0]
    assert run.scores == {"oak": {"77": 1.0}}
    file = tmp_path / "x.qrels"
    file.write_text("oak 0 %2077%20 1\n", encoding="utf-8")
    assert trec.read_qrels(file).grades == {"oak": {"77": 1}}


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with FakeTriton() as triton, FakeOpenSearch() as node:
        yield Catalog(tmp_path, triton, node)


def test_a_csv_an_object_and_a_deletion_name_one_product(catalog: Catalog) -> None:
    catalog.write("id,title", " 77 ,Oak chair", "78,Lamp", "79,Rug")
    assert catalog.ingest().indexed == 3
    catalog.write({"id": 77, "price": 3})
    assert catalog.ingest(partial=True).indexed == 1
    assert catalog.node.sources()["77"]["price"] == 3.0
    catalog.write(
        {"id": 77, "title": "Oak chair"}, {"id": "77", "title": "again"}, {"id": "78 ", "_delete": True}
    )
    report = catalog.ingest()
    assert [entry["reason"] for entry in catalog.rejected()] == ["duplicate_id"]
    assert report.deleted == 1
    assert sorted(catalog.node.sources()) == ["77", "79"]
    for written, left in ((" 77\t\r\n\r\n".encode("utf-16"), ["79"]), (b" 79 ", [])):
        file = catalog.folder / "ids.txt"
        file.write_bytes(written)
        done = CliRunner().invoke(cli, ["delete", "--ids", str(file), "--opensearch", catalog.node.url])
        assert done.exit_code == 0, done.output
        assert sorted(catalog.node.sources()) == left
