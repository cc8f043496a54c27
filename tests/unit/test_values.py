"""Values as shops write them: prices, several in one cell, levels of categories, HTML, picture paths."""

from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from mmsearch.errors import PictureError, RecordError
from mmsearch.images.references import located
from mmsearch.images.references import read as read_picture
from mmsearch.ingest.item import Item
from mmsearch.products.record import Line, Product, parse
from mmsearch.products.values.cells import levels
from mmsearch.products.values.markup import plain_text


def read(record: dict[str, Any]) -> Product:
    return parse(Line(7, json.dumps({"id": "a", **record}).encode()))


@pytest.mark.parametrize(
    ("written", "amount", "currency"),
    [
        ("$1,299.00", 1299, "USD"),
        ("1,299.00", 1299, ""),
        ("1.299,00", 1299, ""),
        ("1 299,00 €", 1299, "EUR"),
        ("1\u202f299,00\xa0€", 1299, "EUR"),
        ("EUR 12.50", 12.5, "EUR"),
        ("15.00 USD", 15, "USD"),
        ("12,5", 12.5, ""),
        ("1,299", 1299, ""),
        ("0,990", 0.99, ""),
        ("1.299 €", 1299, "EUR"),
        ("1.299", 1.299, ""),
        ("1.234 KWD", 1.234, "KWD"),
        ("1'299.00 CHF", 1299, "CHF"),
        ("1.299.000", 1299000, ""),
        ("₹1,23,456.50", 123456.5, "INR"),
        ("12,34,567", 1234567, ""),
        ("R$ 1.299,90", 1299.9, "BRL"),
        ("1 299 zł", 1299, "PLN"),
        ("12,-", 12, ""),
        ("4.200,– €", 4200, "EUR"),
        ("-$5", -5, "USD"),
        ("-12,00", -12, ""),
        ("0", 0, ""),
        ("0,00 €", 0, "EUR"),
        (12, 12, ""),
        ({"amount": "12,50", "currency": "EUR"}, 12.5, "EUR"),
        (
            {"type": "centPrecision", "currencyCode": "EUR", "centAmount": 4299, "fractionDigits": 2},
            42.99,
            "EUR",
        ),
        (["3", "2,5", None], 2.5, ""),
        ([{"amount": "15.00", "currency": "EUR"}, {"amount": "9", "currency": "USD"}], 15, "EUR"),
    ],
)
def test_prices(written: object, amount: float, currency: str) -> None:
    found = read({"price": written})
    assert (found.price, found.currency) == (pytest.approx(amount), currency)


@pytest.mark.parametrize(
    "written", ["cheap", "Free", "10 - 20", "from 5", "1,000,00", "12 34", "5%", "$", True, {"x": 1}]
)
def test_what_is_no_price_is_one_sentence(written: object) -> None:
    with pytest.raises(RecordError, match=r"expected a number, such as .* in `price` on line 7, got "):
        read({"price": written})


def test_a_column_of_the_currency_wins() -> None:
    assert read({"price": "$5", "currency": "cad"}).currency == "CAD"
    assert read({"price": 5, "currency": "€"}).currency == "EUR"


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("https://a/x.jpg,https://a/y.jpg", ("https://a/x.jpg", "https://a/y.jpg")),
        ("https://a/x.jpg | https://a/y.jpg", ("https://a/x.jpg", "https://a/y.jpg")),
        ("https://a/x.jpg\nhttps://a/y.jpg;//b/z.png", ("https://a/x.jpg", "https://a/y.jpg", "//b/z.png")),
        ("https://a/w_300,h_200/x.jpg", ("https://a/w_300,h_200/x.jpg",)),
        ("https://a/w_1,h_2/x.jpg,https://a/w_3,h_4/y", ("https://a/w_1,h_2/x.jpg", "https://a/w_3,h_4/y")),
        ("https://a/?u=https://b/x.jpg", ("https://a/?u=https://b/x.jpg",)),
        ("a.jpg,b.png", ("a.jpg", "b.png")),
        ("a.jpg; b c.png", ("a.jpg", "b c.png")),
        ("/m/a.jpg?v=1|/m/b.webp", ("/m/a.jpg?v=1", "/m/b.webp")),
        ("red, large.jpg", ("red, large.jpg",)),
        ("data:image/png;base64,AAAA", ("data:image/png;base64,AAAA",)),
        ("data:image/png;base64,AA==|data:image/png;base64,BB==", 2),
        ([{"src": "a.jpg"}, {"url": "b.jpg"}, "c.jpg", None], ("a.jpg", "b.jpg", "c.jpg")),
    ],
)
def test_several_pictures_in_one_cell(cell: object, found: Any) -> None:
    pictures = read({"images": cell}).pictures
    assert (len(pictures) if isinstance(found, int) else pictures) == found


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("A>B >  C", ("A > B > C",)),
        ("A &gt; B", ("A > B",)),
        ("A » B", ("A > B",)),
        ("A > B | C", ("A > B", "C")),
        ("Shoes; Men\nSale", ("Shoes", "Men", "Sale")),
        ("A > B, A > C", ("A > B", "A > C")),
        ("Food, Beverages & Tobacco > Food Items", ("Food, Beverages & Tobacco > Food Items",)),
        ("Tables, chairs", ("Tables, chairs",)),
        ([{"name": "A"}, {"name": "B"}], ("A", "B")),
        (12, ("12",)),
    ],
)
def test_categories_and_their_levels(cell: object, found: tuple[str, ...]) -> None:
    assert read({"category": cell}).category == found


def test_levels_are_stored_to_filter_by() -> None:
    assert list(levels(("A > B > C", "A > D", "E"))) == ["A", "A > B", "A > B > C", "A > D", "E"]
    product = read({"category": "A > B"})
    document = Item.of(Line(1, b""), product).document()
    assert (document["category"], document["category_levels"]) == ("A > B", ["A", "A > B"])


def test_a_group_of_its_own_has_each_product_without_one() -> None:
    assert Item.of(Line(1, b""), read({})).document()["group"] == "a"
    assert Item.of(Line(1, b""), read({"group": 7})).document()["group"] == "7"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("size < 10 & > 5", "size < 10 & > 5"),
        ("AT&T, R&D; a <b and c> d", "AT&T, R&D; a <b and c> d"),
        ("I <3 it", "I <3 it"),
        ("a <b", "a <b"),
        ("<p>Soft &amp; warm</p><ul><li>One</li><li>Two</li></ul>", "Soft & warm\nOne\nTwo"),
        ("<p>size < 10 & > 5</p>", "size < 10 & > 5"),
        ("<b>Oak</b> chair<br/>big", "Oak chair\nbig"),
        ("&lt;p&gt;Soft&lt;/p&gt;", "Soft"),
        ("Tom &amp; Jerry&#39;s", "Tom & Jerry's"),
        ("<script>var a = 1 < 2;</script>Hi<style>p {}</style>", "Hi"),
        ("<style>p {} Hi", "p {} Hi"),
        ("<img alt='a > b' src=x>Z", "Z"),
        ("<![CDATA[<p>Hi</p>]]>", "Hi"),
        ("<!-- c -->x", "x"),
        ("<p>unclosed", "unclosed"),
        ("<P CLASS=x>Up</P>", "Up"),
        ("<p>a\nb</p>\n<p>c&nbsp;d</p>", "a b\nc d"),
        ("plain\ntext  stays", "plain\ntext  stays"),
        ("<table><tr><td>W</td><td>3</td></tr></table>", "W 3"),
    ],
)
def test_html_becomes_text_and_text_stays(written: str, text: str) -> None:
    assert plain_text(written) == text
    assert read({"description": written}).description == text.strip()


def test_html_of_unclosed_tags_is_read() -> None:
    """A reader that is quadratic in them takes minutes for each of these."""
    for piece in ("<!--", "<a ", "<", "<a b='", "</", "<script>", "<p ", "<![CDATA[", "b=c ", "='"):
        assert isinstance(plain_text("<p><a " + piece * (900_000 // len(piece))), str)


def test_random_markup_raises_nothing() -> None:
    chance = random.Random(5)
    parts = (
        "<",
        ">",
        "</",
        "p",
        "script",
        " a=",
        '"',
        "'",
        "&",
        "amp;",
        "<!--",
        "-->",
        "]]>",
        "x",
        "&#9999999;",
    )
    for _ in range(5_000):
        plain_text("".join(chance.choices(parts, k=chance.randrange(20))))


NFC, NFD = (unicodedata.normalize(form, "größe.jpg") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("there", "written"),
    [
        ("m/a.jpg", "/m/a.jpg"),
        ("m/a.jpg", "m\\a.jpg"),
        ("m/a.jpg", "C:\\m\\a.jpg"),
        ("m/a.jpg", "/m/a.jpg?v=1"),
        ("m/a.jpg", "m/a.jpg#front"),
        ("a b.jpg", "a%20b.jpg"),
        ("a b.jpg", "/a%20b.jpg?v=1&w=2"),
        ("a%20b.jpg", "a%20b.jpg"),
        ("a.jpg?v=1", "a.jpg?v=1"),
        (NFC, NFD),
        (NFD, NFC),
        (NFC, "/gr%C3%B6%C3%9Fe.jpg"),
    ],
)
def test_a_picture_is_found_by_a_path_as_shops_write_it(tmp_path: Path, there: str, written: str) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_bytes(b"here")
    assert read_picture(written, tmp_path) == b"here"
    assert located(written, tmp_path).read_bytes() == b"here"


@pytest.mark.parametrize(
    "written",
    ["%2e%2e/secret", "..\\secret", "/../secret", "..%5csecret", "a/..%2f..%2fsecret?v=1", "C:\\..\\secret"],
)
def test_no_spelling_leaves_the_root(tmp_path: Path, written: str) -> None:
    (tmp_path / "secret").write_bytes(b"outside")
    (tmp_path / "root").mkdir()
    with pytest.raises(PictureError) as caught:
        read_picture(written, tmp_path / "root")
    assert caught.value.reason in ("outside_root", "not_found")
    assert located(written, tmp_path / "root") == tmp_path / "root" / written


def test_the_written_path_is_what_an_error_names(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"expected a picture at 'a%20b.jpg\?v=1', found no file"):
        read_picture("a%20b.jpg?v=1", tmp_path)
    with pytest.raises(PictureError) as caught:
        read_picture("a%00.jpg", tmp_path)
    assert caught.value.reason == "not_found"
    for odd in ("a%00.jpg", "x" * 5000):
        assert located(odd, tmp_path) == tmp_path / odd
