"""`--map`: a field is read from anywhere in a record, and a source that is not there is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from mmsearch.errors import ArgumentError, CatalogError
from mmsearch.products.feeds.feed import Feed
from mmsearch.products.mapping.renamed import require_known
from mmsearch.products.record import Line, Product, parse

RECORD: dict[str, Any] = {
    "id": "1",
    "title": {"en": "Chair", "de": "Stuhl"},
    "price": {"amount": 12.5, "unit": "piece"},
    "images": [{"src": "a.jpg", "alt": "front"}, {"src": "b.jpg"}],
    "brand": "Hay",
    "name": "Rey",
    "tags": ["oak", "oiled"],
    "kind": "seat",
    "deep": {"a.b": {"c": 3}},
}


def read(renames: dict[str, str], record: dict[str, Any] = RECORD) -> Product:
    return parse(Line(1, json.dumps(record).encode()), renames)


@pytest.mark.parametrize(
    ("renames", "field", "value"),
    [
        ({"title": "title.en"}, "title", "Chair"),
        ({"title": "title.de"}, "title", "Stuhl"),
        ({"price": "price.amount"}, "price", 12.5),
        ({"image": "images.0.src"}, "pictures", ("a.jpg",)),
        ({"image": "images.1.src"}, "pictures", ("b.jpg",)),
        ({"images": "images.*.src"}, "pictures", ("a.jpg", "b.jpg")),
        ({"images": "images.src"}, "pictures", ("a.jpg", "b.jpg")),
        ({"title": "brand+name"}, "title", "Hay Rey"),
        ({"title": "brand + name"}, "title", "Hay Rey"),
        ({"title": "tags+name"}, "title", "oak oiled Rey"),
        ({"category": "tags+kind"}, "category", ("oak", "oiled", "seat")),
        ({"category": "kind+name"}, "category", ("seat", "Rey")),
        ({"title": "absent|name"}, "title", "Rey"),
        ({"title": "deep.a.b.c"}, "title", "3"),
        ({"group": "name"}, "group", "Rey"),
    ],
)
def test_a_field_is_read_from_anywhere(renames: dict[str, str], field: str, value: object) -> None:
    assert getattr(read(renames), field) == value


def test_a_column_is_taken_by_its_whole_name_first() -> None:
    record = {"id": "1", "a+b": "both", "a": "x", "b": "y", "c.d": "dotted", "c": {"d": "inner"}}
    assert read({"title": "a+b"}, record).title == "both"
    assert read({"title": "c.d"}, record).title == "dotted"


def test_what_a_field_is_read_from_is_no_attribute_and_the_rest_is() -> None:
    found = read({"images": "images.*.src", "title": "title.en", "price": "price.amount"}).attributes
    assert found["images"] == [{"alt": "front"}]
    assert found["price"] == {"unit": "piece"}
    assert found["title_de"] == "Stuhl"
    assert "title" not in found
    assert "tags" not in read({"category": "tags+kind"}).attributes


def test_two_fields_may_be_read_from_one_column_and_two_may_change_places() -> None:
    record = {"id": "1", "kind": "seat", "title": "about", "description": "name"}
    found = read({"category": "kind", "brand": "kind"}, record)
    assert (found.category, found.brand) == (("seat",), ("seat",))
    swapped = read({"title": "description", "description": "title"}, record)
    assert (swapped.title, swapped.description) == ("name", "about")


def test_a_value_that_is_replaced_stays_as_an_attribute() -> None:
    assert read({"id": "sku"}, {"id": 7, "sku": "a"}).attributes == {"id": 7}


def test_one_element_without_a_list_is_taken_where_a_list_is_read() -> None:
    record = {"id": "1", "image": {"link": "a.jpg"}}
    assert read({"images": "image.*.link"}, record).pictures == ("a.jpg",)
    assert read({"images": "image.0.link"}, record).pictures == ("a.jpg",)


class Table:
    path = "shop.csv"

    def __init__(self, columns: tuple[str, ...], *records: dict[str, Any]) -> None:
        self.columns = columns
        self._records = records

    def __iter__(self) -> Iterator[Line]:
        for number, record in enumerate(self._records, 2):
            yield Line(number, json.dumps(record).encode())

    def share(self) -> float:
        return 0.0

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("titel", "got 'titel', which it does not have, did you mean title_en?"),
        ("Title-EN", "did you mean title_en?"),
        ("images.*.scr", "did you mean images.*.src?"),
        ("src", "did you mean images.*.src?"),
        ("title_en+colour", "got 'colour', which it does not have; its columns are id, title_en"),
        (
            "xyz",
            "of shop.csv, got 'xyz', which it does not have; its columns are id, title_en, empty, images",
        ),
    ],
)
def test_an_unknown_source_is_refused_with_the_columns_there_are(source: str, said: str) -> None:
    table = Table(("id", "title_en", "empty", "images"), {"id": "1", "images": [{"src": "a"}]})
    with pytest.raises(CatalogError) as caught:
        list(Feed(table, {"title": source}))
    assert said in str(caught.value)


def test_a_column_of_the_header_without_a_value_is_there() -> None:
    lines = list(Feed(Table(("id", "empty"), {"id": "1"}), {"title": "empty"}))
    assert [line.number for line in lines] == [2]


def test_a_feed_of_deletions_alone_says_nothing_of_columns() -> None:
    assert len(list(Feed(Table((), {"id": "1", "_delete": True}), {"title": "name"}))) == 1


def test_many_columns_are_not_all_listed() -> None:
    with pytest.raises(CatalogError, match=r"c29 and 70 more$"):
        list(Feed(Table(tuple(f"c{n}" for n in range(100)), {"c1": 1}), {"title": "zzz"}))


@pytest.mark.parametrize("renames", [{"titel": "x"}, {"title": " "}, {"title": 3}])
def test_only_our_fields_are_mapped(renames: dict[str, str]) -> None:
    with pytest.raises(ArgumentError, match="expected the"):
        require_known(renames)
    require_known({"title": "a", "title_de": "b", "currency": "c"})
