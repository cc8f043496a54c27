"""Attributes by type: what a value is, which fields an index gets, and where each value lies."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mmsearch.cli.main import cli
from mmsearch.errors import MismatchError, SearchError
from mmsearch.ingest.product_index.foreign_fields import Stored, merged
from mmsearch.ingest.schema.attributes import joined, leaves, properties, split, types_in, types_of
from mmsearch.ingest.schema.fields import Schema, SchemaOptions
from mmsearch.products.values.kinds import fits, is_code
from mmsearch.search.filters import clause, types_by

from ..fakes.fake_opensearch import AnswerError, FakeOpenSearch
from ..fakes.fake_triton import FakeTriton
from ..fakes.ingesting import Catalog
from ..fakes.reindexing import Shop, ingested

NAMES = ("", " ", ".", "a", "A", "a.b", "a.", "b..c", "*", "size", "ä", "_id", "type", "x\ty", "n" * 300)
VALUES: tuple[Any, ...] = (
    0, 1, -2.5, 2**53 + 1, 2**64 - 1, "9" * 30, "12", "007", "12 cm", "1e-05", "1e400", "NaN", True, "true",
    "True", "yes", "", "2024-01-05", "2024-01-05 10:00:00.1", "2024-02-30", "2024", {}, [], [1, "a"],
    [True, 1], [[1], []], [{"a": 1}, {"a": "x"}], "w" * 33_000, ["é" * 17_000, 1], "leather",
)  # fmt: skip


def odd_attributes(drawn: random.Random, depth: int = 3) -> dict[str, Any]:
    """A record's attributes under odd names, of values of every kind."""
    return {
        name: odd_attributes(drawn, depth - 1) if depth and not drawn.randrange(4) else drawn.choice(VALUES)
        for name in drawn.sample(NAMES, 5)
    }


FLAT: dict[str, Any] = {
    "settings": {"index": {"knn": "true"}},
    "mappings": {"properties": {"attributes": {"type": "flat_object"}}},
}


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        (12, "double long integer byte keyword"),
        ("12", "double long integer byte keyword"),
        (-3.5, "double keyword"),
        ("1e-05", "double keyword"),
        ("12 cm", "keyword"),
        ("1,5", "keyword"),
        ("1_000", "keyword"),
        ("007", "keyword"),
        ("12E3", "keyword"),
        ("NaN", "keyword"),
        ("inf", "keyword"),
        ("Infinity", "keyword"),
        (2**53 + 1, "long keyword"),
        ("9007199254740993", "long keyword"),
        (2**64 - 1, "keyword"),
        ("123456789012345678901234567890", "keyword"),
        (True, "boolean keyword"),
        ("false", "boolean keyword"),
        ("True", "keyword"),
        ("yes", "keyword"),
        ("2024-01-05", "date keyword"),
        ("2024-01-05T10:00:00Z", "date keyword"),
        ("2024-01-05T10:00:00.123456+01:00", "date keyword"),
        ("2024-01-05 10:00:00", "date keyword"),
        ("2024-01-05 10:00:00.5", "keyword"),
        ("2024-02-30", "keyword"),
        ("2024-01-05T25:00", "keyword"),
        ("2024-W05", "keyword"),
        ("20240105", "double long integer keyword"),
        ([1, "2"], "double long integer byte keyword"),
        ([1, "two"], "keyword"),
        ([True, 1], "keyword"),
        ([[1]], ""),
        ([{"a": 1}], ""),
        ([], ""),
        (None, ""),
    ],
    ids=repr,
)
def test_a_value_fits_the_fields_that_index_it_as_it_is(value: Any, kinds: str) -> None:
    tried = ("double", "long", "integer", "byte", "date", "boolean", "keyword")
    assert " ".join(kind for kind in tried if fits(kind, value)) == kinds


def test_a_number_with_a_leading_zero_is_a_code() -> None:
    assert [each for each in ("007", "-01", "0", "0.5", "10", "1" * 20, 2**70, 5, "a0") if is_code(each)] == [
        "007", "-01", "1" * 20, 2**70
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2.5, "3"], "double"),
        ([2**53 + 1, 5], "long"),
        ([2**53 + 1, 5.5], "keyword"),
        (["10115", "01067"], "keyword"),
        ([True, "false"], "boolean"),
        ([True, "yes"], "keyword"),
        ([0, 1], "double"),
        (["2024-01-05", "2024-01-05T10:00Z"], "date"),
        ([5, "M"], "keyword"),
        ([*range(19), "n/a"], "double"),
        ([[1, 2], [3]], "double"),
        (["", [], 4], "double"),
        ([[{"a": 1}], [{"a": 2}]], None),
        ([""], None),
        ([{}], None),
    ],
    ids=repr,
)
def test_a_names_type_is_that_of_nearly_all_its_values(values: list[Any], kind: str | None) -> None:
    found = types_of(({"x": value} for value in values), 200)
    assert found == ({} if kind is None else {"x": kind})


def test_the_most_frequent_names_get_fields() -> None:
    sample = [{f"n{number}": number for number in range(size)} for size in range(10)]
    assert list(types_of(sample, 3)) == ["n0", "n1", "n2"]
    assert types_of(sample, 0) == {}
    # The shop's own count too, and are left as they are.
    assert list(types_of(sample, 3, ["n1", "other"])) == ["n0"]
    # What the sample does not have keeps its type while there is room.
    assert types_of([{"a": 1}], 2, known={"a": "keyword", "b": "date", "c": "long"}) == {
        "a": "double", "b": "date"
    }  # fmt: skip


def test_names_that_no_field_can_have_stay_flat() -> None:
    names = ("", " ", ".", "a.", ".a", "a..b", "b*", "c\n", "n" * 300, ".".join("abcdefghijkl"))
    record = dict.fromkeys(names, 1) | {"": {"x": 1}, "Colour": 1, "colour": 1, "a.b": 1, "ä b": 1}
    assert set(types_of([record], 200)) == {"Colour", "colour", "a.b", "ä b"}
    found = split(record, types_of([record], 200))
    assert set(found.parts["attributes"]) == {"Colour", "colour", "a.b", "ä b"}
    assert joined(found.parts) == record
    assert "x" not in split({"": {"x": 1}}, {"x": "double"}).parts.get("attributes", {})


def test_a_name_is_a_value_or_an_object() -> None:
    records = [{"size": {"width": 3, "unit": "cm"}}, {"size": {"width": 4}}, {"size": "M"}]
    types = types_of(records, 200)
    assert types == {"size.width": "double", "size.unit": "keyword"}
    assert split(records[2], types).parts == {"other_attributes": {"size": "M"}}
    found = split({"size": {"width": "wide", "unit": "cm", "note": 1}}, types)
    assert found.parts == {
        "other_attributes": {"size": {"width": "wide", "note": 1}}, "attributes": {"size": {"unit": "cm"}}
    }  # fmt: skip
    assert found.unfit == ["size.width"]
    assert split({"size": {"a": 1}}, {"size": "double"}).unfit == ["size"]


def test_every_value_is_kept_and_the_whole_comes_together_again() -> None:
    types = {"n": "double", "k": "keyword", "d": "date", "b": "boolean"}
    record = {
        "n": "12 cm", "k": ["red", 5], "d": "soon", "b": "yes", "late": {"x": [1, {"y": "z"}]},
        "e": "", "m": {}, "long": "é" * 20_000, "k2": {"deep": "w" * 40_000, "short": "w"},
    }  # fmt: skip
    found = split(record, types)
    assert joined(found.parts) == record
    assert found.unfit == ["n", "d", "b"]
    assert found.long == ["long", "k2.deep"]
    assert found.fields()["attributes"] == {"k": ["red", 5]}
    # The words of flat attributes; those of keywords are copied by the node.
    assert found.fields()["attribute_words"] == ["12 cm", "soon", "yes", "z", "w"]
    assert split({"k": "x" * 32_766}, types).long == []
    assert split({"k": "x" * 32_767}, types).long == ["k"]
    assert split({"k": ["x", "é" * 16_384]}, types).long == ["k"]
    assert split({"flat": "x" * 32_727}, types).long == []
    assert split({"flat": "x" * 32_728}, types).long == ["flat"]
    assert split({"n" * 40_000: 1}, types).long == ["n" * 40_000]


def test_random_attributes_come_together_again_and_lie_where_they_fit() -> None:
    drawn = random.Random(11)
    for _ in range(200):
        sample = [odd_attributes(drawn) for _ in range(20)]
        types = types_of(sample, drawn.choice([0, 5, 200]))
        for record in [*sample, *(odd_attributes(drawn) for _ in range(10))]:
            found = split(record, types)
            assert joined(found.parts) == record
            for path, value in leaves(found.parts.get("attributes", {})):
                assert fits(types[path], value)


def test_the_mapping_says_the_types_again() -> None:
    types = {"size.width": "double", "size.unit": "keyword", "since": "date", "new": "boolean", "ean": "long"}
    fields = {"attributes": {"properties": properties(types)}, "other_attributes": {"type": "flat_object"}}
    assert types_in(fields) == types
    assert types_in(fields, ours=False) == {}
    fields["attributes"]["properties"]["since"] = {"type": "date", "format": "dd.MM.yyyy"}
    fields["attributes.stock"] = {"type": "integer"}
    assert types_in(fields, ours=False) == {"since": "any", "stock": "integer"}
    assert split({"since": "1.2.2024", "stock": 2.5}, types_in(fields)).parts == {
        "attributes": {"since": "1.2.2024"}, "other_attributes": {"stock": 2.5}
    }  # fmt: skip
    assert Schema.read({}, {"attributes": {"type": "flat_object"}}).types is None


def test_many_fields_raise_the_indexs_limit() -> None:
    body: dict[str, Any] = {
        "settings": {"index": {}},
        "mappings": {"properties": {"attributes": {"type": "object"}}},
    }
    Schema(types={f"n{number}": "double" for number in range(600)}).apply(body)
    assert body["settings"]["index"]["mapping"]["total_fields"]["limit"] == 1_600


def test_others_attributes_stay_where_they_are() -> None:
    old = Stored(
        {
            "attributes": {"a": 1, "stock": 4},
            "other_attributes": {"b": "x", "note": "mine"},
            "ingest": {"attributes": ["a", "b"]},
        },
        1,
        1,
    )
    document = {"other_attributes": {"a": "12 cm"}, "ingest": {"attributes": ["a"]}}
    assert merged(document, old, new_vectors=True) == {
        "attributes": {"stock": 4},
        "other_attributes": {"note": "mine", "a": "12 cm"},
        "attribute_words": ["mine", "12 cm"],
        "ingest": {"attributes": ["a"]},
    }
    taken_over = {"attributes": {"note": 1}, "ingest": {"attributes": ["note"]}}
    assert merged(taken_over, old, new_vectors=True)["attributes"] == {"stock": 4, "note": 1}


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with FakeTriton() as triton, FakeOpenSearch() as node:
        yield Catalog(tmp_path, triton, node)


def fields(catalog: Catalog) -> dict[str, Any]:
    found: dict[str, Any] = catalog.node.indices["products-000001"]["mappings"]["properties"]
    return found


def test_a_later_clash_is_kept_counted_and_said(catalog: Catalog) -> None:
    sample = [{"id": str(n), "title": "x", "width": n, "colour": "red"} for n in range(1_000)]
    catalog.write(*sample, {"id": "late", "title": "x", "width": "12 cm", "notes": "n" * 40_000})
    report = catalog.ingest()
    assert (report.indexed, report.rejected, report.exit_code) == (1_001, 0, 0)
    assert (report.unfit_attributes, report.long_attributes) == (1, 1)
    assert "1 attributes not of their field's type, kept as text (1 width)" in report.sentence()
    assert report.summary()["reasons"] == {"unfit_attributes": {"width": 1}, "long_attributes": {"notes": 1}}
    late = catalog.node.sources()["late"]
    assert late["other_attributes"] == {"width": "12 cm"}
    assert late["long_attributes"] == {"notes": "n" * 40_000}
    assert late["attribute_words"] == ["12 cm"]
    assert late["ingest"]["attributes"] == ["width", "notes"]
    assert catalog.node.sources()["7"]["attributes"] == {"width": 7, "colour": "red"}
    assert "attribute_words" not in catalog.node.sources()["7"]
    assert fields(catalog)["attributes"]["properties"]["width"]["type"] == "double"
    assert catalog.ingest().unchanged == 1_001


def test_the_cap_is_an_option_that_the_index_keeps(catalog: Catalog) -> None:
    catalog.write({"id": "1", "title": "x", "a": 1, "b": 2}, {"id": "2", "title": "y", "a": 1, "c": 2})
    options = SchemaOptions(attribute_fields=1)
    assert catalog.ingest(schema=options).indexed == 2
    assert list(fields(catalog)["attributes"]["properties"]) == ["a"]
    assert catalog.node.sources()["1"]["other_attributes"] == {"b": 2}
    assert catalog.ingest(schema=options).unchanged == 2
    assert catalog.ingest().unchanged == 2
    with pytest.raises(MismatchError, match=r"with --attribute-fields 5, got 1; .* reindex"):
        catalog.ingest(schema=SchemaOptions(attribute_fields=5))


def test_names_of_a_later_run_get_fields_too(catalog: Catalog) -> None:
    catalog.write({"id": "1", "title": "x", "a": 1})
    catalog.ingest()
    catalog.write({"id": "1", "title": "x", "a": 1, "since": "2024-01-05"})
    assert catalog.ingest().encoded == 0
    assert catalog.node.sources()["1"]["attributes"] == {"a": 1, "since": "2024-01-05"}
    assert fields(catalog)["attributes"]["properties"]["since"]["type"] == "date"
    assert fields(catalog)["attributes"]["properties"]["a"]["type"] == "double"


def test_a_partial_line_moves_a_value_between_fields(catalog: Catalog) -> None:
    catalog.write(*({"id": str(n), "title": "x", "width": n, "note": "new"} for n in range(3)))
    catalog.ingest()
    feed = catalog.folder / "feed.jsonl"

    def fed(**change: Any) -> dict[str, Any]:
        feed.write_text(json.dumps({"id": "1", **change}) + "\n")
        report = catalog.ingest(catalog=str(feed), partial=True)
        assert (report.indexed, report.encoder_calls) == (1, 0)
        source = catalog.node.sources()["1"]
        return {name: source[name] for name in source if name.endswith(("attributes", "attribute_words"))}

    # One clash in four is not the field's type; the type of before holds.
    assert fed(width="12 cm") == {
        "attributes": {"note": "new"}, "other_attributes": {"width": "12 cm"}, "attribute_words": ["12 cm"]
    }  # fmt: skip
    assert fed(width=8) == {"attributes": {"note": "new", "width": 8}}
    assert fed(note="n" * 40_000) == {
        "attributes": {"width": 8}, "long_attributes": {"note": "n" * 40_000}
    }  # fmt: skip
    calls = catalog.triton.rows
    feed.write_text('{"id": "1", "title": "other"}\n')
    catalog.ingest(catalog=str(feed), partial=True)
    assert catalog.triton.rows == calls + 1
    assert joined(catalog.node.sources()["1"]) == {"width": 8, "note": "n" * 40_000}
    feed.write_text('{"id": "1", "note": "short"}\n')
    catalog.ingest(catalog=str(feed), partial=True)
    assert catalog.ingest(catalog=str(feed), partial=True).unchanged == 1


def test_an_older_index_goes_on_as_it_was(catalog: Catalog) -> None:
    catalog.write({"id": "1", "title": "x", "width": 7})
    catalog.ingest()
    properties = fields(catalog)
    for name in ("other_attributes", "long_attributes", "attribute_words"):
        del properties[name]
    properties["attributes"] = {"type": "flat_object"}
    before = json.dumps(properties)
    catalog.write(
        {"id": "1", "title": "x", "width": 7}, {"id": "2", "title": "y", "width": "12 cm", "new": True}
    )
    report = catalog.ingest()
    assert (report.indexed, report.unchanged, report.unfit_attributes) == (2, 1, 0)
    assert catalog.node.sources()["2"]["attributes"] == {"width": "12 cm", "new": True}
    feed = catalog.folder / "feed.jsonl"
    feed.write_text('{"id": "1", "stock": 4}\n')
    catalog.ingest(catalog=str(feed), partial=True)
    assert catalog.node.sources()["1"]["attributes"] == {"width": 7, "stock": 4}
    assert json.dumps(fields(catalog)) == before
    with pytest.raises(MismatchError, match="with --attribute-fields 9, got one field for all"):
        catalog.ingest(schema=SchemaOptions(attribute_fields=9))


def test_a_refused_field_is_said_and_the_attribute_kept_as_text(catalog: Catalog) -> None:
    catalog.write({"id": "1", "title": "x", "a": 1})
    catalog.ingest()
    catalog.write({"id": "1", "title": "x", "a": 1, "b": 2})

    def refused(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("_mapping"):
            raise AnswerError(403)

    catalog.node.request_fault = refused
    assert catalog.ingest().indexed == 1
    assert "1 new attributes of products-000001 are kept as text, got 403" in " ".join(catalog.messages)
    assert catalog.node.sources()["1"]["other_attributes"] == {"b": 2}


def test_the_shops_own_type_is_that_of_its_attribute(catalog: Catalog) -> None:
    own = {"properties": {"attributes": {"properties": {"code": {"type": "keyword"}, "n": {"type": "byte"}}}}}
    (catalog.folder / "m.json").write_text(json.dumps(own))
    catalog.write({"id": "1", "title": "x", "code": 5, "n": 7, "w": 1}, {"id": "2", "title": "y", "n": 700})
    servers = ("--opensearch", catalog.node.url, "--triton", catalog.triton.url, "--processes", "0")
    mapping = str(catalog.folder / "m.json")
    done = CliRunner().invoke(cli, ["ingest", str(catalog.path), *servers, "--mapping", mapping])
    assert done.exit_code == 0, done.output
    assert fields(catalog)["attributes"]["properties"]["code"] == {"type": "keyword"}
    assert catalog.node.sources()["1"]["attributes"] == {"code": 5, "n": 7, "w": 1}
    assert catalog.node.sources()["2"]["other_attributes"] == {"n": 700}


def test_an_index_of_the_shops_own_keeps_its_types(catalog: Catalog) -> None:
    own = {"type": "object", "properties": {"width": {"type": "integer"}}}
    body = {"settings": {"index": {"knn": "true"}}, "mappings": {"properties": {"attributes": own}}}
    catalog.node.create("products", body)
    catalog.write(
        {"id": "1", "title": "x", "width": 2.5, "depth": 2.5}, {"id": "2", "title": "y", "width": 2}
    )
    assert catalog.ingest().unfit_attributes == 1
    properties = catalog.node.indices["products"]["mappings"]["properties"]["attributes"]["properties"]
    assert (properties["width"], properties["depth"]["type"]) == ({"type": "integer"}, "double")
    assert catalog.node.sources()["1"]["attributes"] == {"depth": 2.5}
    assert catalog.node.sources()["2"]["attributes"] == {"width": 2}


def test_an_index_of_the_shops_own_keeps_a_flat_object(catalog: Catalog) -> None:
    catalog.node.create("products", FLAT)
    catalog.write({"id": "1", "title": "x", "width": 2.5})
    assert catalog.ingest().indexed == 1
    assert "other_attributes" not in catalog.node.indices["products"]["mappings"]["properties"]
    assert catalog.node.sources()["1"]["attributes"] == {"width": 2.5}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with ingested(tmp_path, monkeypatch) as made:
        yield made


def test_reindex_brings_attributes_over_to_their_types(shop: Shop) -> None:
    old = shop.node.indices["products-000001"]["mappings"]["properties"]
    for name in ("other_attributes", "long_attributes", "attribute_words"):
        del old[name]
    old["attributes"] = {"type": "flat_object"}
    # From a partial feed: no catalog has it.
    shop.node.documents["products-000001"]["3"]["attributes"] = {"stock": 4}
    shop.run("reindex", "--attribute-fields", "50")
    mappings = shop.node.indices["products-000002"]["mappings"]
    assert mappings["_meta"]["mmsearch"]["schema"]["attribute_fields"] == 50
    assert mappings["properties"]["attributes"]["properties"]["stock"]["type"] == "double"
    assert shop.node.sources()["3"]["attributes"]["stock"] == 4
    shop.run("reindex")
    again = shop.node.indices["products-000003"]["mappings"]
    assert again["_meta"]["mmsearch"]["schema"]["attribute_fields"] == 50
    assert again["properties"]["attributes"] == mappings["properties"]["attributes"]


TYPES = {"width": "double", "since": "date", "new": "boolean", "colour": "keyword", "ean": "long"}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("width", {"gt": 100}, {"range": {"attributes.width": {"gt": 100}}}),
        ("width", {"gte": "1.5", "lt": 2}, {"range": {"attributes.width": {"gte": "1.5", "lt": 2}}}),
        ("attributes.width", {"lte": 9}, {"range": {"attributes.width": {"lte": 9}}}),
        ("since", {"gte": "2024"}, {"range": {"attributes.since": {"gte": "2024||/y"}}}),
        ("since", {"gte": "now-7d"}, {"range": {"attributes.since": {"gte": "now-7d"}}}),
        ("width", "12 cm", {"term": {"other_attributes.width": "12 cm"}}),
        ("new", "yes", {"term": {"other_attributes.new": "yes"}}),
        ("since", "2024-02-30", {"term": {"other_attributes.since": "2024-02-30"}}),
        ("since", "soon", {"term": {"other_attributes.since": "soon"}}),
        ("rare", 5, {"term": {"other_attributes.rare": 5}}),
        ("width", 5, [{"term": {"attributes.width": 5}}, {"term": {"other_attributes.width": 5}}]),
        ("new", True, [{"term": {"attributes.new": True}}, {"term": {"other_attributes.new": True}}]),
        ("since", "2024-01", [
            {"range": {"attributes.since": {"gte": "2024-01||/M", "lte": "2024-01||/M"}}},
            {"term": {"other_attributes.since": "2024-01"}},
        ]),
        ("ean", 2**53 + 1, [
            {"term": {"attributes.ean": 2**53 + 1}}, {"term": {"other_attributes.ean": 2**53 + 1}}
        ]),
        ("width", [5, "M"], [
            {"terms": {"attributes.width": [5]}}, {"terms": {"other_attributes.width": [5, "M"]}}
        ]),
    ],
)  # fmt: skip
def test_a_filter_is_compared_by_the_fields_type(field: str, value: Any, expected: Any) -> None:
    found = clause({field: value}, TYPES)
    assert found == ({"bool": {"should": expected}} if isinstance(expected, list) else expected)


@pytest.mark.parametrize(
    ("field", "value", "types", "told"),
    [
        ("colour", {"gt": 5}, TYPES, "a number or a date for a range of colour, got one of type keyword"),
        ("rare", {"gt": 5}, TYPES, "got an attribute that is compared as text"),
        ("width", {"gt": "wide"}, TYPES, "with a number for a range of width, got gt: 'wide'"),
        ("since", {"gt": 5}, TYPES, "with a date or an expression such as now-7d"),
        ("width", {"over": 5}, TYPES, "expected gt or gte or lt or lte"),
        ("width", {}, TYPES, "for a range of width, got none"),
        ("width", {"gt": 5}, None, "build its successor by: mmsearch reindex"),
        ("price", {"gt": "a"}, None, "with a number for a range of price"),
        ("width", object(), TYPES, "expected a text or a number to filter width by"),
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_compared_is_one_sentence(
    field: str, value: Any, types: dict[str, str] | None, told: str
) -> None:
    with pytest.raises(SearchError, match=told):
        clause({field: value}, types)


def test_the_command_line_takes_bounds(catalog: Catalog) -> None:
    catalog.write({"id": "1", "title": "x", "width": 7, "since": "2024-01-05", "grade": "A"})
    catalog.ingest()

    def asked(*filters: str) -> Any:
        options = [word for each in filters for word in ("--filter", each)]
        done = CliRunner().invoke(
            cli, ["search", "x", "--mode", "lexical", *options, "--opensearch", catalog.node.url]
        )
        assert done.exit_code in (0, 2), done.output
        return done.stderr if done.exit_code else catalog.node.searches[-1]["query"]["bool"]["filter"]

    assert asked("width>=5", "width < 9") == [{"range": {"attributes.width": {"gte": "5", "lt": "9"}}}]
    assert asked("price<=9") == [{"range": {"price": {"lte": "9"}}}]
    assert asked("since>2023") == [{"range": {"attributes.since": {"gt": "2023||/y"}}}]
    assert asked("grade=A > B") == [
        {"bool": {"should": [
            {"term": {"attributes.grade": "A > B"}}, {"term": {"other_attributes.grade": "A > B"}}
        ]}}
    ]  # fmt: skip
    assert "expected FIELD=VALUE, such as category=Kitchen, or a bound as in 'price<20'" in asked("width")


def test_an_alias_of_several_indexes_compares_by_what_they_share() -> None:
    other = {"other_attributes": {"flat_object": {}}}
    assert types_by({"attributes.w": {"double": {}, "integer": {}}, **other}) == {"w": "double"}
    assert types_by({"attributes.w": {"double": {}, "keyword": {}}, **other}) == {"w": "keyword"}
    assert types_by({"attributes.w": {"date": {}, "unmapped": {}}, **other}) == {"w": "date"}
    assert types_by({"attributes.geo": {"geo_point": {}}, **other}) == {"geo": "keyword"}
    assert types_by({"attributes": {"object": {}, "flat_object": {}}, **other}) is None
    assert types_by({"attributes": {"flat_object": {}}}) is None
    assert types_by({}) is None
