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
from ..fakes.ingesting import Catalogue, picture


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with FakeTriton() as triton, FakeOpenSearch() as node:
        yield Catalogue(tmp_path, triton, node)


def shop(catalogue: Catalogue) -> None:
    """Five products with pictures, ingested whole."""
    for number, colour in enumerate(("red", "blue", "green", "pink", "tan")):
        (catalogue.folder / f"{number}.png").write_bytes(picture(colour))
    catalogue.write(
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
    assert catalogue.ingest().encoded == 5


def feed(catalogue: Catalogue, *lines: object) -> Path:
    path = catalogue.folder / "feed.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def test_a_price_feed_changes_the_prices_alone(catalogue: Catalogue) -> None:
    shop(catalogue)
    before = json.loads(json.dumps(catalogue.node.sources()))
    calls, asked = catalogue.triton.rows, len(catalogue.node.requests)
    path = feed(catalogue, *({"id": str(n), "price": 10 + n} for n in range(4)), {"id": "4", "stock": 7})
    report = catalogue.ingest(catalogue=str(path), partial=True)
    assert (report.indexed, report.rejected, report.encoder_calls) == (5, 0, 0)
    assert catalogue.triton.rows == calls
    assert not any(path.endswith("_mget") for _, path in catalogue.node.requests[asked:])
    for number in range(4):
        after = catalogue.node.sources()[str(number)]
        assert after["price"] == 10 + number
        assert {**after, "price": 0, "ingest": 0} == {**before[str(number)], "price": 0, "ingest": 0}
    assert catalogue.node.sources()["4"]["attributes"] == {"colour": "red", "stock": 7}
    # The same feed again changes nothing, and says so.
    assert catalogue.ingest(catalogue=str(path), partial=True).unchanged == 5


def test_the_whole_catalogue_afterwards_is_what_counts_again(catalogue: Catalogue) -> None:
    shop(catalogue)
    path = feed(catalogue, {"id": "2", "price": 99, "stock": 7})
    catalogue.ingest(catalogue=str(path), partial=True)
    calls = catalogue.triton.rows
    report = catalogue.ingest()
    assert (report.unchanged, report.encoded) == (4, 0)
    source = catalogue.node.sources()["2"]
    # What only the feed brings stays; what the catalogue brings is as it says.
    assert (source["price"], source["attributes"]) == (2, {"colour": "red", "stock": 7})
    assert catalogue.triton.rows == calls
    assert catalogue.ingest().unchanged == 5


def test_a_text_is_encoded_with_the_rest_of_its_product(catalogue: Catalogue) -> None:
    shop(catalogue)
    catalogue.ingest(catalogue=str(feed(catalogue, {"id": "1", "stock": 3})), partial=True)
    path = feed(
        catalogue,
        {"id": "0", "title": "chair 0", "price": 50},
        {"id": "1", "title": "armchair"},
        {"id": "2", "image": "3.png"},
    )
    report = catalogue.ingest(catalogue=str(path), partial=True)
    assert (report.indexed, report.encoded) == (3, 2)
    partly = {name: dict(catalogue.node.sources()[name]) for name in "012"}
    assert partly["0"]["price"] == 50
    assert (partly["1"]["title"], partly["1"]["brand"], partly["1"]["image"]) == ("armchair", "oak", "1.png")
    assert partly["1"]["attributes"] == {"colour": "red", "stock": 3}
    # The same index as by whole lines: the same vectors, and a run over those finds nothing to do.
    catalogue.write(
        {"id": "0", "title": "chair 0", "brand": "oak", "price": 50, "image": "0.png", "colour": "red"},
        {"id": "1", "title": "armchair", "brand": "oak", "price": 1, "image": "1.png", "colour": "red"},
        {"id": "2", "title": "chair 2", "brand": "oak", "price": 2, "image": "3.png", "colour": "red"},
    )
    assert catalogue.ingest().unchanged == 3
    other = catalogue.ingest(index="other")
    assert other.encoded == 3
    for name in "012":
        assert catalogue.node.sources("other")[name]["embedding"] == partly[name]["embedding"]


def test_a_partial_line_whose_product_is_not_there_is_a_reject(catalogue: Catalogue) -> None:
    shop(catalogue)
    path = feed(catalogue, {"id": "8", "price": 1}, {"id": "9", "title": "new"}, {"id": "1", "price": 2})
    report = catalogue.ingest(catalogue=str(path), partial=True)
    assert (report.indexed, report.rejected, report.reasons) == (1, 2, {"not_there": 2})
    assert sorted(entry["id"] for entry in catalogue.rejected()) == ["8", "9"]
    assert set(catalogue.node.sources()) == set("01234")


def test_a_partial_line_never_drops_a_vector(catalogue: Catalogue) -> None:
    shop(catalogue)
    before = {name: source["embedding"] for name, source in catalogue.node.sources().items()}
    (catalogue.folder / "1.png").unlink()
    path = feed(
        catalogue,
        {"id": "1", "title": "its picture is gone from the folder"},
        {"id": "2", "image": "no.png"},
        {"id": "3", "title": "chair 3", "price": 4},
    )
    report = catalogue.ingest(catalogue=str(path), partial=True)
    assert report.reasons == {"not_found": 2}
    assert {name: source["embedding"] for name, source in catalogue.node.sources().items()} == before


def test_a_new_text_beside_a_picture_that_is_not_kept_is_a_reject(catalogue: Catalogue) -> None:
    uri = "data:image/png;base64," + base64.b64encode(picture()).decode()
    catalogue.write({"id": "1", "title": "a", "image": uri}, {"id": "2", "title": "b"})
    catalogue.ingest()
    lines = [{"id": "1", "title": "new"}, {"id": "2", "title": "new"}]
    report = catalogue.ingest(catalogue=str(feed(catalogue, *lines)), partial=True)
    assert (report.encoded, report.reasons) == (1, {"picture_not_kept": 1})
    same = feed(catalogue, {"id": "1", "title": "a"})
    assert catalogue.ingest(catalogue=str(same), partial=True).rejected == 0


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


def test_partial_needs_an_index_and_takes_nothing_away(catalogue: Catalogue) -> None:
    path = feed(catalogue, {"id": "1", "price": 2})
    with pytest.raises(MismatchError, match="expected an index behind products for --partial, got none"):
        catalogue.ingest(catalogue=str(path), partial=True)
    assert not catalogue.node.indices
    for more in (["--sync"], ["--on-bad-image", "text-only"]):
        assert CliRunner().invoke(cli, ["ingest", str(path), "--partial", *more]).exit_code == 2


def test_a_partial_feeds_rejects_are_retried_as_such(catalogue: Catalogue) -> None:
    shop(catalogue)
    path = feed(catalogue, {"id": "1", "price": "cheap"})
    servers = ["--opensearch", catalogue.node.url, "--triton", catalogue.triton.url, "--processes", "0"]
    assert CliRunner().invoke(cli, ["ingest", str(path), "--partial", *servers]).exit_code == 3
    rejects = catalogue.folder / "feed.rejects.jsonl"
    rejects.write_text(rejects.read_text().replace('"cheap"', "77"), encoding="utf-8")
    assert CliRunner().invoke(cli, ["retry", str(rejects), *servers]).exit_code == 0
    source = catalogue.node.sources()["1"]
    assert (source["price"], source["title"]) == (77, "chair 1")


@pytest.mark.parametrize("partial", [False, True])
def test_a_line_that_says_delete_deletes(catalogue: Catalogue, partial: bool) -> None:
    shop(catalogue)
    path = feed(
        catalogue,
        {"id": "1", "_delete": True},
        {"id": "2", "_delete": True, "title": "whatever"},
        {"id": "8", "_delete": True},
    )
    dry = catalogue.ingest(catalogue=str(path), partial=partial, dry_run=True)
    assert (dry.deleted, dry.indexed, len(catalogue.node.sources())) == (3, 0, 5)
    report = catalogue.ingest(catalogue=str(path), partial=partial)
    assert (report.read, report.deleted, report.missing, report.indexed) == (3, 2, 1, 0)
    assert (report.exit_code, report.encoder_calls) == (0, 0)
    assert "0 indexed, 0 rejected, 2 deleted, 1 to delete not there" in report.sentence()
    assert set(catalogue.node.sources()) == set("034")


@pytest.mark.parametrize(("value", "gone"), [("true", True), ("1", True), (False, False), (None, False)])
def test_what_a_table_may_say_of_delete(value: object, gone: bool) -> None:
    found = parse(Line(1, json.dumps({"id": "1", "title": "a", "_delete": value}).encode()))
    assert found.delete == gone
    assert "_delete" not in found.attributes


def delete(catalogue: Catalogue, text: str, *arguments: str) -> Result:
    path = catalogue.folder / "ids.txt"
    path.write_text(text, encoding="utf-8")
    return CliRunner().invoke(
        cli, ["delete", "--ids", str(path), "--opensearch", catalogue.node.url, *arguments]
    )


def test_delete_takes_a_file_of_ids(catalogue: Catalogue) -> None:
    shop(catalogue)
    result = delete(catalogue, "\ufeff1\n 3 \n\n8\n3\n")
    assert (result.exit_code, result.stdout) == (0, "2 deleted, 1 not there\n")
    assert set(catalogue.node.sources()) == set("024")
    piped = CliRunner().invoke(
        cli, ["delete", "--ids", "-", "--opensearch", catalogue.node.url, "--json"], input="0\n"
    )
    summary = json.loads(piped.stdout)
    assert (summary["read"], summary["deleted"], summary["missing"], summary["exit_code"]) == (1, 1, 0, 0)


def test_delete_says_what_is_refused(catalogue: Catalogue) -> None:
    shop(catalogue)
    catalogue.node.item_fault = lambda identifier: (
        (400, {"type": "odd_exception", "reason": "not this one"}) if identifier == "3" else 0
    )
    result = delete(catalogue, "1\n3\n")
    assert result.exit_code == 3
    assert result.stdout == "1 deleted, 0 not there, 1 not deleted (1 odd_exception)\n"
    assert "'3': 400 not this one" in result.stderr
    catalogue.node.item_fault = lambda identifier: (
        403,
        {"type": "cluster_block_exception", "reason": "blocked by: [FORBIDDEN/8/index write (api)];"},
    )
    failed = delete(catalogue, "0\n", "--json")
    assert failed.exit_code == 1
    assert "FORBIDDEN/8" in json.loads(failed.stdout)["error"]
    assert set(catalogue.node.sources()) == set("0234")


def test_delete_without_a_file_or_an_index_is_one_sentence(catalogue: Catalogue) -> None:
    nothing = delete(catalogue, "1\n")
    assert nothing.exit_code == 1
    assert nothing.stderr.startswith("mmsearch: expected an index behind products, got none")
    shop(catalogue)
    missing = CliRunner().invoke(cli, ["delete", "--ids", "no.txt", "--opensearch", catalogue.node.url])
    assert missing.exit_code == 1
    assert missing.stderr.startswith("mmsearch: expected a file of ids at no.txt, got: No such file")


def test_loss_16_no_product_is_deleted_or_changed_by_an_alias_of_a_part(catalogue: Catalogue) -> None:
    shop(catalogue)
    catalogue.node.aliases["cheap"] = "products-000001"
    catalogue.node.alias_properties["cheap"] = {"filter": {"range": {"price": {"lt": 50}}}}
    refused = delete(catalogue, "1\n", "--index", "cheap")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("mmsearch: expected cheap to be an alias of all products of products-00")
    with pytest.raises(MismatchError, match="expected cheap to be an alias of all products of products-00"):
        catalogue.ingest(index="cheap", partial=True)
    assert set(catalogue.node.sources()) == set("01234")


def test_a_partial_feed_is_not_remembered_as_the_catalogue(catalogue: Catalogue) -> None:
    shop(catalogue)
    meta = catalogue.node.indices["products-000001"]["mappings"]["_meta"]["mmsearch"]
    before = dict(meta["ingest"])
    feed = catalogue.folder / "prices.jsonl"
    feed.write_text('{"id": "1", "price": 3}\n')
    assert catalogue.ingest(catalogue=str(feed), partial=True).indexed == 1
    meta = catalogue.node.indices["products-000001"]["mappings"]["_meta"]["mmsearch"]
    assert meta["ingest"] == before
    assert before["catalogue"] == str(catalogue.path.resolve())
