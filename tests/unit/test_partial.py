"""Partial feeds and deletions: lines that change some fields of a product, and lines that take it away."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mmsearch.cli.main import cli
from mmsearch.errors import MismatchError, RecordError
from mmsearch.ingest.partial import parse_partial
from mmsearch.products.record import Line, parse

from ..fakes.fake_opensearch import FakeOpenSearch
from ..fakes.fake_triton import FakeTriton
from ..fakes.ingesting import Catalog, picture


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with FakeTriton() as triton, FakeOpenSearch() as node:
        yield Catalog(tmp_path, triton, node)


def shop(catalog: Catalog) -> None:
    """Five products with pictures, ingested whole."""
    for number, colour in enumerate(("red", "blue", "green", "pink", "tan")):
        (catalog.folder / f"{number}.png").write_bytes(picture(colour))
    catalog.write(
        *(
            {
                "id": str(n),
                "title": f"chair {n}",
                "brand": "oak",
                "price": n,
                "image": f"{n}.png",
                "colour": "red",
            }
            for n in range(5)
        )
    )
    assert catalog.ingest().encoded == 5


def feed(catalog: Catalog, *lines: object) -> Path:
    path = catalog.folder / "feed.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def test_a_price_feed_changes_the_prices_alone(catalog: Catalog) -> None:
    shop(catalog)
    before = json.loads(json.dumps(catalog.node.sources()))
    calls, asked = catalog.triton.rows, len(catalog.node.requests)
    path = feed(catalog, *({"id": str(n), "price": 10 + n} for n in range(4)), {"id": "4", "stock": 7})
    report = catalog.ingest(catalog=str(path), partial=True)
    assert (report.indexed, report.rejected, report.encoder_calls) == (5, 0, 0)
    assert catalog.triton.rows == calls
    assert not any(path.endswith("_mget") for _, path in catalog.node.requests[asked:])
    for number in range(4):
        after = catalog.node.sources()[str(number)]
        assert after["price"] == 10 + number
        assert {**after, "price": 0, "ingest": 0} == {**before[str(number)], "price": 0, "ingest": 0}
    assert catalog.node.sources()["4"]["attributes"] == {"colour": "red", "stock": 7}
    # The same feed again changes nothing, and says so.
    assert catalog.ingest(catalog=str(path), partial=True).unchanged == 5


def test_the_whole_catalog_afterwards_is_what_counts_again(catalog: Catalog) -> None:
    shop(catalog)
    path = feed(catalog, {"id": "2", "price": 99, "stock": 7})
    catalog.ingest(catalog=str(path), partial=True)
    calls = catalog.triton.rows
    report = catalog.ingest()
    assert (report.unchanged, report.encoded) == (4, 0)
    source = catalog.node.sources()["2"]
    # What only the feed brings stays; what the catalog brings is as it says.
    assert (source["price"], source["attributes"]) == (2, {"colour": "red", "stock": 7})
    assert catalog.triton.rows == calls
    assert catalog.ingest().unchanged == 5


def test_a_text_is_encoded_with_the_rest_of_its_product(catalog: Catalog) -> None:
    shop(catalog)
    catalog.ingest(catalog=str(feed(catalog, {"id": "1", "stock": 3})), partial=True)
    path = feed(
        catalog,
        {"id": "0", "title": "chair 0", "price": 50},
        {"id": "1", "title": "armchair"},
        {"id": "2", "image": "3.png"},
    )
    report = catalog.ingest(catalog=str(path), partial=True)
    assert (report.indexed, report.encoded) == (3, 2)
    partly = {name: dict(catalog.node.sources()[name]) for name in "012"}
    assert partly["0"]["price"] == 50
    assert (partly["1"]["title"], partly["1"]["brand"], partly["1"]["image"]) == ("armchair", "oak", "1.png")
    assert partly["1"]["attributes"] == {"colour": "red", "stock": 3}
    # The same index as by whole lines: the same vectors, and a run over those finds nothing to do.
    catalog.write(
        {"id": "0", "title": "chair 0", "brand": "oak", "price": 50, "image": "0.png", "colour": "red"},
        {"id": "1", "title": "armchair", "brand": "oak", "price": 1, "image": "1.png", "colour": "red"},
        {"id": "2", "title": "chair 2", "brand": "oak", "price": 2, "image": "3.png", "colour": "red"},
    )
    assert catalog.ingest().unchanged == 3
    other = catalog.ingest(index="other")
    assert other.encoded == 3
    for name in "012":
        assert catalog.node.sources("other")[name]["embedding"] == partly[name]["embedding"]


def test_a_partial_line_whose_product_is_not_there_is_a_reject(catalog: Catalog) -> None:
    shop(catalog)
    path = feed(catalog, {"id": "8", "price": 1}, {"id": "9", "title": "new"}, {"id": "1", "price": 2})
    report = catalog.ingest(catalog=str(path), partial=True)
    assert (report.indexed, report.rejected, report.reasons) == (1, 2, {"not_there": 2})
    assert sorted(entry["id"] for entry in catalog.rejected()) == ["8", "9"]
    assert set(catalog.node.sources()) == set("01234")


def test_a_partial_line_never_drops_a_vector(catalog: Catalog) -> None:
    shop(catalog)
    before = {name: source["embedding"] for name, source in catalog.node.sources().items()}
    (catalog.folder / "1.png").unlink()
    path = feed(
        catalog,
        {"id": "1", "title": "its picture is gone from the folder"},
        {"id": "2", "image": "no.png"},
        {"id": "3", "title": "chair 3", "price": 4},
    )
    report = catalog.ingest(catalog=str(path), partial=True)
    assert report.reasons == {"not_found": 2}
    assert {name: source["embedding"] for name, source in catalog.node.sources().items()} == before


def test_a_new_text_beside_a_picture_that_is_not_kept_is_a_reject(catalog: Catalog) -> None:
    uri = "data:image/png;base64," + base64.b64encode(picture()).decode()
    catalog.write({"id": "1", "title": "a", "image": uri}, {"id": "2", "title": "b"})
    catalog.ingest()
    lines = [{"id": "1", "title": "new"}, {"id": "2", "title": "new"}]
    report = catalog.ingest(catalog=str(feed(catalog, *lines)), partial=True)
    assert (report.encoded, report.reasons) == (1, {"picture_not_kept": 1})
    same = feed(catalog, {"id": "1", "title": "a"})
    assert catalog.ingest(catalog=str(same), partial=True).rejected == 0


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"id": "1"}, "nothing_to_change"),
        ({"id": "1", "price": None}, "no_value"),
        ({"id": "1", "title": ""}, "no_value"),
        ({"id": "1", "dims": {"w": None}, "price": 2}, "no_value"),
        ({"id": "1", "price": "cheap"}, "wrong_type"),
        ({"price": 1}, "missing_id"),
        ({"id": "1", "_delete": "perhaps"}, "wrong_type"),
    ],
)
def test_partial_lines_that_say_nothing_clear_are_rejected(line: dict[str, object], reason: str) -> None:
    with pytest.raises(RecordError) as error:
        parse_partial(Line(3, json.dumps(line).encode()))
    assert error.value.reason == reason
    assert error.value.identifier == line.get("id", "")


def test_partial_needs_an_index_and_takes_nothing_away(catalog: Catalog) -> None:
    path = feed(catalog, {"id": "1", "price": 2})
    with pytest.raises(MismatchError, match="expected an index behind products for --partial, got none"):
        catalog.ingest(catalog=str(path), partial=True)
    assert not catalog.node.indices
    for more in (["--sync"], ["--on-bad-image", "text-only"]):
        assert CliRunner().invoke(cli, ["ingest", str(path), "--partial", *more]).exit_code == 2


def test_a_partial_feeds_rejects_are_retried_as_such(catalog: Catalog) -> None:
    shop(catalog)
    path = feed(catalog, {"id": "1", "price": "cheap"})
    servers = ["--opensearch", catalog.node.url, "--triton", catalog.triton.url, "--processes", "0"]
    assert CliRunner().invoke(cli, ["ingest", str(path), "--partial", *servers]).exit_code == 3
    rejects = catalog.folder / "feed.rejects.jsonl"
    rejects.write_text(rejects.read_text().replace('"cheap"', "77"), encoding="utf-8")
    assert CliRunner().invoke(cli, ["retry", str(rejects), *servers]).exit_code == 0
    source = catalog.node.sources()["1"]
    assert (source["price"], source["title"]) == (77, "chair 1")


@pytest.mark.parametrize("partial", [False, True])
def test_a_line_that_says_delete_deletes(catalog: Catalog, partial: bool) -> None:
    shop(catalog)
    path = feed(
        catalog,
        {"id": "1", "_delete": True},
        {"id": "2", "_delete": True, "title": "whatever"},
        {"id": "8", "_delete": True},
    )
    dry = catalog.ingest(catalog=str(path), partial=partial, dry_run=True)
    assert (dry.deleted, dry.indexed, len(catalog.node.sources())) == (3, 0, 5)
    report = catalog.ingest(catalog=str(path), partial=partial)
    assert (report.read, report.deleted, report.missing, report.indexed) == (3, 2, 1, 0)
    assert (report.exit_code, report.encoder_calls) == (0, 0)
    assert "0 indexed, 0 rejected, 2 deleted, 1 to delete not found" in report.sentence()
    assert set(catalog.node.sources()) == set("034")


@pytest.mark.parametrize(("value", "gone"), [("true", True), ("1", True), (False, False), (None, False)])
def test_what_a_table_may_say_of_delete(value: object, gone: bool) -> None:
    found = parse(Line(1, json.dumps({"id": "1", "title": "a", "_delete": value}).encode()))
    assert found.delete == gone
    assert "_delete" not in found.attributes


def delete(catalog: Catalog, text: str, *arguments: str) -> Result:
    path = catalog.folder / "ids.txt"
    path.write_text(text, encoding="utf-8")
    return CliRunner().invoke(
        cli, ["delete", "--ids", str(path), "--opensearch", catalog.node.url, *arguments]
    )


def test_delete_takes_a_file_of_ids(catalog: Catalog) -> None:
    shop(catalog)
    result = delete(catalog, "\ufeff1\n 3 \n\n8\n3\n")
    assert (result.exit_code, result.stdout) == (0, "2 deleted, 1 not found\n")
    assert set(catalog.node.sources()) == set("024")
    piped = CliRunner().invoke(
        cli, ["delete", "--ids", "-", "--opensearch", catalog.node.url, "--json"], input="0\n"
    )
    summary = json.loads(piped.stdout)
    assert (summary["read"], summary["deleted"], summary["missing"], summary["exit_code"]) == (1, 1, 0, 0)


def test_delete_says_what_is_refused(catalog: Catalog) -> None:
    shop(catalog)
    catalog.node.item_fault = lambda identifier: (
        (400, {"type": "odd_exception", "reason": "not this one"}) if identifier == "3" else 0
    )
    result = delete(catalog, "1\n3\n")
    assert result.exit_code == 3
    assert result.stdout == "1 deleted, 0 not found, 1 not deleted (1 odd_exception)\n"
    assert "'3': 400 not this one" in result.stderr
    catalog.node.item_fault = lambda identifier: (
        403,
        {"type": "cluster_block_exception", "reason": "blocked by: [FORBIDDEN/8/index write (api)];"},
    )
    failed = delete(catalog, "0\n", "--json")
    assert failed.exit_code == 1
    assert "FORBIDDEN/8" in json.loads(failed.stdout)["error"]
    assert set(catalog.node.sources()) == set("0234")


def test_delete_without_a_file_or_an_index_is_one_sentence(catalog: Catalog) -> None:
    nothing = delete(catalog, "1\n")
    assert nothing.exit_code == 1
    assert nothing.stderr.startswith("mmsearch: expected an index behind products, got none")
    shop(catalog)
    missing = CliRunner().invoke(cli, ["delete", "--ids", "no.txt", "--opensearch", catalog.node.url])
    assert missing.exit_code == 1
    assert missing.stderr.startswith("mmsearch: expected a file of ids at no.txt, got: No such file")


def test_loss_16_no_product_is_deleted_or_changed_by_an_alias_of_a_part(catalog: Catalog) -> None:
    shop(catalog)
    catalog.node.aliases["cheap"] = "products-000001"
    catalog.node.alias_properties["cheap"] = {"filter": {"range": {"price": {"lt": 50}}}}
    refused = delete(catalog, "1\n", "--index", "cheap")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("mmsearch: expected cheap to be an alias of all products of products-00")
    with pytest.raises(MismatchError, match="expected cheap to be an alias of all products of products-00"):
        catalog.ingest(index="cheap", partial=True)
    assert set(catalog.node.sources()) == set("01234")


def test_a_partial_feed_is_not_remembered_as_the_catalog(catalog: Catalog) -> None:
    shop(catalog)
    meta = catalog.node.indices["products-000001"]["mappings"]["_meta"]["mmsearch"]
    before = dict(meta["ingest"])
    feed = catalog.folder / "prices.jsonl"
    feed.write_text('{"id": "1", "price": 3}\n')
    assert catalog.ingest(catalog=str(feed), partial=True).indexed == 1
    meta = catalog.node.indices["products-000001"]["mappings"]["_meta"]["mmsearch"]
    assert meta["ingest"] == before
    assert before["catalog"] == str(catalog.path.resolve())
