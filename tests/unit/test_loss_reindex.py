"""`mmsearch reindex` never moves an alias to less than it had: everything ingest was told is remembered, the
index is made as the old one, and what would be lost keeps the alias where it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..fakes.fake_opensearch import AnswerError
from ..fakes.reindexing import Shop, ingested, products


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with ingested(tmp_path, monkeypatch) as made:
        yield made


STAYS = "; products stays on products-000001, and products-000002 remains for another attempt"


def test_loss_01_a_reindex_reads_the_catalog_as_ingest_did(shop: Shop) -> None:
    done = shop.run("reindex", "--json")
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (summary["old"], summary["new"], summary["moved"]) == ("products-000001", "products-000002", True)
    assert (summary["indexed"], summary["rejected"], summary["overlap"]) == (30, 0, 1.0)
    assert shop.node.aliases == {"products": "products-000002"}
    assert set(shop.node.sources()) == {str(n) for n in range(30)}
    assert shop.node.sources()["2"]["ingest"]["modalities"] == ["text", "image"]
    assert shop.node.indices["products-000002"]["mappings"]["_meta"]["mmsearch"]["fields"]["embedding"][
        "fingerprint"
    ] == "e" * 64  # fmt: skip


def test_loss_01_every_option_of_reading_is_remembered(shop: Shop) -> None:
    options = ("--map", "id=sku", "--on-bad-image", "text-only", "--fetch-images", "--batch", "7")
    rows = "".join(f"{n};chair {n}\n" for n in range(30))
    other = shop.folder / "other.txt"
    other.write_text("sku;title\n" + rows)
    shop.run("ingest", str(other), *options, "--processes", "0", "--format", "csv", "--give-up-after", "3")
    meta = shop.node.indices["products-000001"]["mappings"]["_meta"]["mmsearch"]
    assert meta["ingest"] == {
        "catalog": str(other), "image_root": str(shop.folder), "format": "csv", "limit": None,
        "text_only": True, "fetch": True, "renames": {"id": "sku"}, "processes": 0, "batch": 7,
        "patience": 3.0, "preset": None,
    }  # fmt: skip
    assert set(meta) == {"version", "fields", "schema", "ingest"}
    shop.run("reindex")
    assert len(shop.node.sources()) == 30
    assert max(map(len, shop.triton.calls)) <= 7 or len(shop.triton.calls[-1]) <= 7


def test_loss_01_neither_the_first_lines_nor_a_retry_nor_a_dry_run_is_the_catalog(shop: Shop) -> None:
    def recipe_of() -> dict[str, Any]:
        meta = shop.node.indices["products-000001"]["mappings"]["_meta"]
        return dict(meta["mmsearch"]["ingest"])

    before = recipe_of()
    as_before = ("--map", "id=sku", "--image-root", str(shop.folder / "pictures"))
    shop.ingest(*as_before, "--limit", "2")
    shop.ingest(*as_before, "--dry-run", "--batch", "9")
    shop.ingest(*as_before, "--max-rejects", "0", "--slice", "2/2")
    rejects = shop.folder / "r.jsonl"
    rejects.write_text('{"line":1,"stage":"read","record":{"id":"0","title":"chair 0"}}\n')
    shop.run("retry", str(rejects), "--processes", "0")
    assert recipe_of() == before


def test_loss_01_an_index_that_may_not_remember_says_so(shop: Shop) -> None:
    def fault(method: str, path: str) -> None:
        if (method, path.rpartition("/")[2]) == ("PUT", "_mapping"):
            raise AnswerError(403)

    shop.node.request_fault = fault
    done = shop.ingest("--map", "id=sku", "--batch", "9", "--on-bad-image", "text-only")
    assert "could not be saved in products-000001, got 403" in done.stderr


def test_loss_01_products_that_would_be_rejected_keep_the_alias(shop: Shop) -> None:
    shop.node.item_fault = lambda identifier: 403 if identifier in ("4", "5") else 0
    assert shop.refused() == (
        "mmsearch: expected at most 0 products of products-000001 to be rejected, got 2 ('4', '5'); see "
        f"{shop.folder}/products-000002.catalog.rejects.jsonl, fix them there or in the catalog, or raise "
        f"--max-rejects{STAYS}"
    )
    assert "got 2 ('4', '5')" in shop.refused("--max-rejects", "1")
    done = shop.run("reindex", "--max-rejects", "2", code=3)
    assert "products is products-000002 now" in done.stdout


def test_loss_01_a_user_without_the_right_to_write_keeps_the_alias(shop: Shop) -> None:
    def fault(method: str, path: str) -> None:
        if path == "/products-000002/_bulk":
            raise AnswerError(403)

    shop.node.request_fault = fault
    assert shop.refused().endswith(STAYS)


def test_loss_01_rejects_that_the_old_index_never_had_are_no_loss(shop: Shop) -> None:
    shop.write(*products(30), {"sku": "new", "image": "none.png"}, {"sku": "7", "title": "again"})
    done = shop.run("reindex", code=3)
    assert "products is products-000002 now" in done.stdout


def test_loss_01_fewer_products_keep_the_alias_unless_they_are_allowed(shop: Shop) -> None:
    shop.write(*products(28))
    assert shop.refused() == (
        "mmsearch: expected products-000002 to have the 30 products of products-000001, got 28; if the "
        f"catalog has shrunk, use --allow-fewer 2{STAYS}"
    )
    assert shop.refused("--allow-fewer", "1").endswith(f"use --allow-fewer 2{STAYS}")
    rows = shop.triton.rows
    shop.run("reindex", "--allow-fewer", "2")
    assert shop.triton.rows == rows, "what was encoded for the first try is not encoded again"
    assert len(shop.node.sources()) == 28
    assert sorted(shop.node.indices) == ["products-000001", "products-000002"]


def test_loss_01_fewer_pictures_keep_the_alias(shop: Shop) -> None:
    (shop.folder / "pictures" / "p.png").unlink()
    assert "expected at most 0 products of products-000001 to be rejected, got 3" in shop.refused()
    assert "have the 3 products with a picture of products-000001, got 0" in shop.refused(
        "--on-bad-image", "text-only"
    )


def test_loss_01_another_try_drops_what_left_the_catalog_meanwhile(shop: Shop) -> None:
    shop.write(*products(28), {"sku": "late", "title": "x"})
    shop.refused()
    shop.write(*products(28))
    shop.run("reindex", "--allow-fewer", "2")
    assert set(shop.node.sources()) == {str(n) for n in range(28)}


def shards_failed(index: str) -> dict[str, Any]:
    return {"hits": {"hits": []}, "timed_out": False, "_shards": {"total": 3, "failed": 1}}


OUTER = {"type": "search_phase_execution_exception", "reason": "all shards failed"}


def broken(index: str) -> dict[str, Any]:
    cause = {"type": "encoder_exception", "reason": "Triton is away"}
    return {"status": 503, "error": OUTER | {"root_cause": [cause]}}


def late(index: str) -> dict[str, Any]:
    return {"hits": {"hits": []}, "timed_out": True, "_shards": {"total": 3, "failed": 0}}


def nothing(index: str) -> dict[str, Any]:
    return {"hits": {"hits": []}, "timed_out": False, "_shards": {"total": 3, "failed": 0}}


@pytest.mark.parametrize("which", ["products-000001", "products-000002"])
@pytest.mark.parametrize(
    ("fault", "got"),
    [
        (nothing, "no hit for any of 30 queries"),
        (broken, "503 encoder_exception: Triton is away"),
        (shards_failed, "a search without 1 of 3 shards"),
        (late, "a search that timed out"),
    ],
)
def test_loss_01_a_comparison_that_fails_keeps_the_alias(
    shop: Shop, which: str, fault: Callable[[str], dict[str, Any]], got: str
) -> None:
    shop.node.search_fault = lambda index: fault(index) if index == which else None
    assert shop.refused() == (
        f"mmsearch: expected {which} to answer the comparison's searches, got {got}; fix that and run it "
        f"again, or use --queries 0 to skip the comparison{STAYS}"
    )
    shop.run("reindex", "--queries", "0")
    assert shop.node.aliases == {"products": "products-000002"}


def test_loss_01_without_a_title_there_is_no_comparison(shop: Shop) -> None:
    shop.write(*({"sku": str(n), "description": "x"} for n in range(30)))
    shop.ingest("--map", "id=sku")
    assert "expected titles or judgments to compare the two indices by" in shop.refused()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/_alias", 503),
        ("GET", "/products-000001", 403),
        ("PUT", "/products-000002", 503),
        ("POST", "/products-000001/_count", 503),
        ("POST", "/products-000002/_refresh", 403),
        ("POST", "/products-000002/_msearch", 503),
        ("POST", "/products-000002/_msearch", 403),
        ("GET", "/products-000001/_alias", 503),
        ("POST", "/_aliases", 403),
    ],
)
def test_loss_10_a_node_that_is_away_or_refuses_is_one_sentence_in_reindex(
    shop: Shop, method: str, path: str, status: int
) -> None:
    def fault(asked: str, at: str) -> None:
        if (asked, at) == (method, path):
            raise AnswerError(status)

    shop.node.request_fault = fault
    said = shop.refused("--give-up-after", "0.2")
    assert said.startswith("mmsearch: expected ")
    assert "products stays on products-000001" in said or "products stays where it is" in said


def test_loss_10_a_move_whose_answer_is_lost_does_not_claim_to_know(shop: Shop) -> None:
    def fault(method: str, path: str) -> None:
        if path == "/_aliases":
            raise AnswerError(503)

    shop.node.request_fault = fault
    assert "they may have moved, see GET _alias" in shop.refused()


def test_loss_10_a_failed_reindex_prints_its_object(shop: Shop) -> None:
    shop.write(*products(2))
    done = shop.run("reindex", "--json", code=1)
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["index"], told["moved"]) == ("products", False)
    assert "--allow-fewer 28" in told["error"]


def test_loss_03_the_catalog_is_remembered_or_named(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    meta = shop.node.indices["products-000001"]["mappings"]["_meta"]["mmsearch"]
    monkeypatch.chdir(tmp_path)
    moved_to = shop.folder / "elsewhere.jsonl"
    shop.file.rename(moved_to)
    assert shop.refused() == (
        "mmsearch: expected the file of the last ingest into products-000001, got "
        f"{shop.file}, which does not exist; name it: mmsearch reindex CATALOG"
    )
    pictures = ("--image-root", str(shop.folder / "pictures"))
    shop.run("reindex", "elsewhere.jsonl", "--keep", *pictures)
    assert shop.node.aliases == {"products": "products-000001"}
    assert len(shop.node.documents["products-000002"]) == 30
    meta["ingest"]["catalog"] = "-"
    assert "got standard input; name it: mmsearch" in shop.refused()
    del meta["ingest"]
    assert "into products-000001, got none; name it: mmsearch reindex CATALOG" in shop.refused()
    shop.run("reindex", "elsewhere.jsonl", "--map", "id=sku", *pictures)
    assert shop.node.aliases == {"products": "products-000002"}
