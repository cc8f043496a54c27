"""A catalog line becomes a product, or an error that says line, field and value; nothing else ever
escapes."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from mmsearch.errors import RecordError
from mmsearch.products.record import Line, Product, parse


def read(record: Any, renames: dict[str, str] | None = None) -> Product:
    raw = record if isinstance(record, bytes) else json.dumps(record).encode()
    return parse(Line(7, raw), renames)


def test_a_full_record() -> None:
    found = read(
        {
            "id": 12,
            "title": " Oak chair ",
            "description": ["Solid.", "Oiled."],
            "category": ["Furniture", "Chairs"],
            "brand": "Hay",
            "price": "19.90",
            "image": "a.png",
            "images": ["a.png", "b.png", ""],
            "colour": "red",
            "size": {"width": 3, "depth": None},
            "attributes": {"legs": 4},
        }
    )
    assert found == Product(
        line=7,
        id="12",
        title="Oak chair",
        description="Solid.\nOiled.",
        category=("Furniture", "Chairs"),
        brand=("Hay",),
        price=19.9,
        pictures=("a.png", "b.png"),
        attributes={"colour": "red", "size": {"width": 3}, "legs": 4},
    )


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("19,90", 19.9),
        ("0,5", 0.5),
        (" 1.299,00 ", 1299.0),
        ("-12,00", -12.0),
        ("1.299", 1.299),
        ("1e3", 1e3),
    ],
)
def test_a_decimal_comma_is_read_where_it_can_be_nothing_else(text: str, price: float) -> None:
    assert read({"id": "a", "price": text}).price == price


@pytest.mark.parametrize("text", ["1.29,900", "1,", ",5", "1,2,3", "12.34,56"])
def test_a_comma_that_is_neither_is_refused(text: str) -> None:
    with pytest.raises(RecordError, match="expected a number"):
        read({"id": "a", "price": text})


@pytest.mark.parametrize(
    ("record", "renames"),
    [
        ({"sku": "1", "name": "x"}, {"id": "sku", "title": "name"}),
        ({"id": "1", "info": {"name": "x"}}, {"title": "info.name"}),
        ({"id": "1", "info.name": "x"}, {"title": "info.name"}),
        ({"id": "1", "a": {"b.c": "x"}}, {"title": "a.b.c"}),
        ({"id": "1", "title": "x"}, {"title": "absent"}),
    ],
)
def test_fields_by_other_names(record: dict[str, Any], renames: dict[str, str]) -> None:
    found = read(record, renames)
    assert (found.id, found.title) == ("1", "x")


def test_what_is_renamed_is_no_attribute_too() -> None:
    assert read({"id": "1", "info": {"name": "x", "rest": 1}}, {"title": "info.name"}).attributes == {
        "info": {"rest": 1}
    }


GOOD_BUT_ODD = [
    b'\xef\xbb\xbf{"id": "a"}',
    b'{"id": "a"}\r\n',
    b'  {"id": "a"}\t',
    b'{"id": "a", "title": "nul \\u0000 in it"}',
    '{"id": "a", "title": "\U0001f600 \u202e"}'.encode(),
    b'{"id": "a", "title": null, "price": ""}',
    b'{"id": "a", "title": "a \\"quote\\": and b\\":", "x": [1, "y"]}',
]


@pytest.mark.parametrize("raw", GOOD_BUT_ODD)
def test_odd_lines_that_are_records(raw: bytes) -> None:
    assert read(raw).id == "a"


BAD = {
    "cut": (b'{"id": "a", "title": "x', "not_json", ""),
    "empty list": (b"[]", "wrong_type", ""),
    "a number": (b"3", "wrong_type", ""),
    "null": (b"null", "wrong_type", ""),
    "NaN": (b'{"id": "a", "price": NaN}', "not_json", ""),
    "NaN in half a line": (b'{"id": "a", "x": NaN', "not_json", ""),
    "NaN beside a surrogate": (b'{"id": "a", "x": NaN, "y": "\\ud800"}', "not_json", ""),
    "infinity": (b'{"id": "a", "price": "inf"}', "wrong_type", "price"),
    "raw NUL": (b'{"id": "a\x00"}', "not_json", ""),
    "latin-1": (b'{"id": "a", "title": "\xe9"}', "not_json", ""),
    "lone surrogate": (b'{"id": "a", "title": "\\ud800"}', "not_json", ""),
    "two objects": (b'{"id": "a"}{"id": "b"}', "not_json", ""),
    "key twice": (b'{"id": "a", "id": "b"}', "duplicate_key", "id"),
    "key twice, a blank before the colon": (b'{"id": "a", "x" :1, "x"\t: 2}', "duplicate_key", "x"),
    "key twice, once escaped": (b'{"id": "a", "x": 1, "\\u0078": 2}', "duplicate_key", "x"),
    "key twice, a colon in a string": (b'{"id": "a", "x": "\\":", "x": "b:c"}', "duplicate_key", "x"),
    "key twice in a list": (b'{"id": "a", "x": [{"y": 1, "y": 2}]}', "duplicate_key", "y"),
    "inner key twice": (b'{"id": "a", "x": {"y": 1, "y": 2}}', "duplicate_key", "y"),
    "10,000 deep": (b'{"id": "a", "x": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "not_json", ""),
    "1,000 deep": (b'{"id": "a", "x": ' + b"[" * 1_000 + b"]" * 1_000 + b"}", "too_deep", ""),
    "30 deep": (b'{"id": "a", "x": ' + b"[" * 30 + b"]" * 30 + b"}", "too_deep", ""),
    "5,000 digits": (b'{"id": "a", "x": ' + b"9" * 5_000 + b"}", "not_json", ""),
    "10 MB of text": (b'{"id": "a", "title": "' + b"x" * 10_000_000 + b'"}', "record_too_long", ""),
    "no id": (b'{"title": "x"}', "missing_id", "id"),
    "empty id": (b'{"id": " "}', "missing_id", "id"),
    "long id": (b'{"id": "' + b"x" * 513 + b'"}', "id_too_long", "id"),
    "id is a list": (b'{"id": ["a"]}', "wrong_type", "id"),
    "id is true": (b'{"id": true}', "wrong_type", "id"),
    "id is a fraction": (b'{"id": 1.5}', "wrong_type", "id"),
    "title is an object": (b'{"id": "a", "title": {"text": "x"}}', "wrong_type", "title"),
    "price in words": (b'{"id": "a", "price": "cheap"}', "wrong_type", "price"),
    "price is true": (b'{"id": "a", "price": true}', "wrong_type", "price"),
    "price beyond float": (b'{"id": "a", "price": 1e39}', "wrong_type", "price"),
    "picture is a number": (b'{"id": "a", "image": 3}', "wrong_type", "image"),
    "pictures in an object": (b'{"id": "a", "images": {"a": "b"}}', "wrong_type", "images"),
    "category is a list of lists": (b'{"id": "a", "category": [["x"]]}', "wrong_type", "category"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_lines_are_told_by_line_field_and_value(kind: str) -> None:
    raw, reason, field = BAD[kind]
    with pytest.raises(RecordError) as caught:
        read(raw)
    assert (caught.value.line, caught.value.reason, caught.value.field) == (7, reason, field)
    assert "line 7" in caught.value.message
    assert len(caught.value.message) < 300


def test_a_line_that_was_cut_is_told_to_be_too_long() -> None:
    with pytest.raises(RecordError, match="longer line 7"):
        parse(Line(7, b'{"id":', ("line_too_long", "expected a shorter one, got a longer line 7")))


def test_an_error_after_the_id_knows_the_id() -> None:
    with pytest.raises(RecordError) as caught:
        read({"id": "a", "price": "cheap"})
    assert (caught.value.identifier, caught.value.value) == ("a", "'cheap'")


def test_a_big_picture_in_the_line_does_not_count_as_text() -> None:
    assert read({"id": "a", "image": "data:image/png;base64," + "A" * 5_000_000}).id == "a"


def test_damaged_lines_raise_nothing_but_record_errors() -> None:
    chance = random.Random(7)
    seeds = [raw for raw, _, _ in BAD.values() if len(raw) < 200] + GOOD_BUT_ODD
    for _ in range(5_000):
        raw = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(1, 5)):
            raw[chance.randrange(len(raw))] = chance.choice(b'{}[]",:\\u0019ae\xff\x00 ')
        try:
            assert read(bytes(raw)).id
        except RecordError:
            continue


def test_numbers_that_no_double_holds_stay_in_attributes_as_text() -> None:
    digits = "9" * 30
    raw = f'{{"id": "a", "x": {digits}, "y": [1e400, -{digits}], "z": 1e300, "n": 18446744073709551615}}'
    assert read(raw.encode()).attributes == {
        "x": digits, "y": ["1e400", f"-{digits}"], "z": 1e300, "n": 2**64 - 1
    }  # fmt: skip
    assert read(f'{{"id": "a", "x": {"9" * 400}}}'.encode()).attributes == {"x": "9" * 400}
    assert read(b'{"id": "a", "x": NaN, "y": [Infinity, {"z": -Infinity, "n": NaN}]}').attributes == {
        "y": ["Infinity", {"z": "-Infinity"}]
    }
