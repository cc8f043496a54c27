"""`--sync`: what could not be deleted is counted, tried again and said; no other tenant's product goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mmsearch.cli.main import cli
from mmsearch.errors import MismatchError, UnreachableError

from ..fakes.fake_opensearch import AnswerError, FakeOpenSearch
from ..fakes.fake_triton import FakeTriton
from ..fakes.ingesting import Catalog


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """Twenty products are in the index, and nineteen in the catalog: 19 is to be deleted."""
    with FakeTriton() as triton, FakeOpenSearch() as node:
        made = Catalog(tmp_path, triton, node)
        made.write(*({"id": str(n), "title": f"chair {n}"} for n in range(20)))
        made.ingest()
        made.write(*({"id": str(n), "title": f"chair {n}"} for n in range(19)))
        yield made


def command(catalog: Catalog, monkeypatch: pytest.MonkeyPatch, *options: str) -> Result:
    monkeypatch.setenv("MMSEARCH_CACHE", str(catalog.folder / "cache"))
    servers = ("--opensearch", catalog.node.url, "--triton", catalog.triton.url, "--processes", "0")
    return CliRunner().invoke(cli, ["ingest", str(catalog.path), *servers, *options])


@pytest.mark.parametrize("status", [400, 403])
def test_loss_05_a_refused_delete_is_counted_with_its_reason(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    catalog.node.item_fault = lambda identifier: status if identifier == "19" else 0
    metrics = catalog.folder / "metrics.prom"
    done = command(catalog, monkeypatch, "--sync", "--json", "--metrics-file", str(metrics))
    assert done.exit_code == 3
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["not_deleted"] == 1
    assert summary["reasons"] == {"not_deleted": {f"fault_{status}": 1}}
    assert "deleted" not in summary
    assert f"1 not deleted, fault_{status}: such as '19'" in done.stderr
    assert f'mmsearch_ingest_not_deleted{{index="products",reason="fault_{status}"}} 1' in metrics.read_text()
    plain = command(catalog, monkeypatch, "--sync")
    assert f"19 indexed, 0 rejected, 1 not deleted (1 fault_{status}) (" in plain.stdout


def test_loss_05_a_delete_that_is_put_off_is_sent_again(catalog: Catalog) -> None:
    left = [429, 503, 429]
    catalog.node.item_fault = lambda identifier: left.pop() if identifier == "19" and left else 0
    report = catalog.ingest(sync=0.1)
    assert (report.deleted, report.not_deleted, report.exit_code) == (1, 0, 0)
    assert "19" not in catalog.node.sources()


def test_loss_05_a_delete_that_is_put_off_for_good_fails(catalog: Catalog) -> None:
    catalog.node.item_fault = lambda identifier: 429 if identifier == "19" else 0
    with pytest.raises(UnreachableError, match="429 fault_429: told to; indexed products remain, continue"):
        catalog.ingest(sync=0.1, patience=0.3)


def test_loss_05_a_delete_whose_answer_was_lost_counts_as_deleted(catalog: Catalog) -> None:
    bulk = catalog.node.bulk
    answers = [True]

    def conflicting(index: str, body: bytes) -> dict[str, Any]:
        """As OpenSearch: a condition on a document that is not there is a conflict."""
        there = "19" in catalog.node.documents[index]
        if b'"delete"' in body and not there:
            item = {"_id": "19", "status": 409, "error": {"type": "version_conflict", "reason": "none"}}
            return {"errors": True, "items": [{"delete": item}]}
        return bulk(index, body)

    catalog.node.bulk = conflicting  # type: ignore[method-assign]
    catalog.node.cut = lambda: bool(answers and answers.pop())
    report = catalog.ingest(sync=0.1)
    assert not answers
    assert (report.deleted, report.exit_code) == (1, 0)


def test_loss_05_a_lost_page_of_the_scroll_is_read_again_from_the_start(catalog: Catalog) -> None:
    left = [503, 503]

    def fault(method: str, path: str) -> None:
        if (method, path) == ("POST", "/_search/scroll") and left:
            raise AnswerError(left.pop())

    catalog.node.request_fault = fault
    assert catalog.ingest(sync=0.1).deleted == 1
    scans = [path for method, path in catalog.node.requests if path.endswith("-000001/_search")]
    assert len(scans) == 3


def test_loss_05_a_scroll_that_stays_away_is_one_sentence(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(method: str, path: str) -> None:
        if path == "/_search/scroll":
            raise AnswerError(503)

    catalog.node.request_fault = fault
    done = command(catalog, monkeypatch, "--sync", "--give-up-after", "0.3")
    assert done.exit_code == 1
    assert "expected OpenSearch at 127.0.0.1" in done.stderr.splitlines()[-1]
    assert "19" in catalog.node.sources()


@pytest.mark.parametrize("path", ["/products-000001/_search", "/_search/scroll"])
def test_loss_05_a_scroll_that_is_forbidden_is_one_sentence(catalog: Catalog, path: str) -> None:
    def fault(method: str, asked: str) -> None:
        if (method, asked) == ("POST", path):
            raise AnswerError(403)

    catalog.node.request_fault = fault
    with pytest.raises(MismatchError, match="expected to read the ids of products-000001 by a scroll, got 4"):
        catalog.ingest(sync=0.1)


def test_loss_15_rejects_are_listed_by_reason_with_an_example(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.write(
        {"id": "a", "title": "chair"},
        *({"id": f"p{n}", "title": "lamp", "image": "none.png"} for n in range(3)),
        {"id": "a", "title": "again"},
        {"id": "b", "price": "free"},
        {"title": "nameless"},
        {"id": "d"},
        "{broken",
        "[1]",
    )
    done = command(catalog, monkeypatch, "--json")
    assert done.exit_code == 3
    reasons = json.loads(done.stdout.splitlines()[-1])["reasons"]["rejected"]
    assert reasons["not_found"] == 3
    assert sum(reasons.values()) == 9
    lines = [line for line in done.stderr.splitlines() if " rejected, " in line and "listed in" not in line]
    assert lines[0].startswith("mmsearch:        3 rejected, not_found: such as 'p0' on line 2: expected ")
    assert len(lines) == 5
    plain = command(catalog, monkeypatch)
    counts = sum(int(line.split()[1]) for line in lines)
    assert "9 rejected (3 not_found, 2 wrong_type, 1 " in plain.stdout
    assert f", {9 - counts} for {len(reasons) - 5} other reasons) (" in plain.stdout
