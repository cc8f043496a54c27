"""Catalogs in any format, encoding and compression, under any name: read, or refused with one sentence."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import json
import lzma
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmsearch.errors import CatalogError
from mmsearch.products.catalog import Catalog
from mmsearch.products.formats.found import Found
from mmsearch.products.record import Line

from ..fakes.fake_opensearch import FakeOpenSearch
from ..fakes.fake_triton import FakeTriton
from ..fakes.ingesting import Catalog as IngestedCatalog

PRODUCTS: list[dict[str, Any]] = [
    {"id": "a", "title": "Stühle, groß", "price": 19.5},
    {"id": "b", "title": 'Sofa "Ida"; 2 m', "tags": ["x", "y"], "size": {"w": 3}},
    {"id": "c", "title": "Café [neu] {rot}"},
]
ROWS = [{"id": "1", "title": "Stuhl, groß", "price": "19,50"}, {"id": "2", "title": "Café", "price": "3"}]


def opened(folder: Path, data: bytes, name: str = "feed") -> tuple[list[Line], Found, list[str]]:
    path = folder / name
    path.write_bytes(data)
    said: list[str] = []
    catalog = Catalog(str(path), None, said.append)
    try:
        return list(catalog), catalog.found, said
    finally:
        catalog.close()


def records(folder: Path, data: bytes, name: str = "feed") -> list[dict[str, Any]]:
    lines = opened(folder, data, name)[0]
    assert all(line.trouble is None for line in lines), lines
    return [json.loads(line.raw) for line in lines]


def table(separator: str = ",", end: str = "\n") -> str:
    rows = [["id", "title", "price"], *([*row.values()] for row in ROWS)]
    return "".join(separator.join(f'"{cell}"' for cell in row) + end for row in rows)


def document(value: Any, indent: int | None = 2) -> bytes:
    return json.dumps(value, indent=indent, ensure_ascii=False).encode()


def workbook(*rows: list[Any], title: str = "Sheet", more: dict[str, list[list[Any]]] | None = None) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    for name, others in (more or {}).items():
        sheet = book.create_sheet(name)
        for row in others:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


LINES = "".join(json.dumps(product, ensure_ascii=False) + "\n" for product in PRODUCTS).encode()
DOCUMENTS = {
    "lines": LINES,
    "lines after a blank one": b"\n \r\n" + LINES,
    "an array": document(PRODUCTS),
    "an array on one line": document(PRODUCTS, None),
    "an array, an object a line": b"[\n" + b",\n".join(LINES.splitlines()) + b"\n]\n",
    "an array with a comma too many": b"[" + b",".join(LINES.splitlines()) + b",]",
    "objects, pretty-printed": b"\n".join(document(product) for product in PRODUCTS),
    "objects on one line": b" ".join(document(product, None) for product in PRODUCTS),
    "arrays one after another": document(PRODUCTS[:1]) + b"\n" + document(PRODUCTS[1:]),
    "a list by name": document({"count": 3, "products": PRODUCTS, "next": None}),
    "a list by name, its objects a line": b'{"products": [\n' + b",\n".join(LINES.splitlines()) + b"\n]}",
    "a list by name on one line": document({"took": 1, "results": PRODUCTS}, None),
    "pages of lists": b"\n".join(document({"items": [product]}, None) for product in PRODUCTS[:1])
    + document({"items": PRODUCTS[1:]}),
    "pages of lists, one a line": b"\n".join(
        document({"products": [product], "page": number}, None) for number, product in enumerate(PRODUCTS)
    ),
    "a list of pages": document([{"products": PRODUCTS[:2]}, {"products": PRODUCTS[2:]}]),
    "a list below others": document({"data": {"catalog": {"items": PRODUCTS}}, "ok": True}),
    "a list of nodes": document(
        {"data": {"products": {"edges": [{"cursor": "x", "node": each} for each in PRODUCTS]}}}
    ),
    "a graph": document({"@context": "https://schema.org", "@graph": PRODUCTS}),
    "a list of schema.org": document(
        {
            "@context": "https://schema.org",
            "@type": "ItemList",
            "itemListElement": [{"@type": "ListItem", "position": 1, "item": each} for each in PRODUCTS],
        }
    ),
    "a list under any name": document({"shop": "Möbel", "artikelliste": PRODUCTS}),
    "a list beside the shop's name": document({"title": "Our shop", "items": PRODUCTS}),
}


@pytest.mark.parametrize("data", DOCUMENTS.values(), ids=DOCUMENTS)
@pytest.mark.parametrize("name", ["feed", "feed.csv", "feed.xml"])
def test_json_in_any_form_under_any_name(tmp_path: Path, data: bytes, name: str) -> None:
    assert records(tmp_path, data, name) == PRODUCTS


def test_a_sign_that_json_does_not_have(tmp_path: Path) -> None:
    assert opened(tmp_path, b'{"id": 1}\n\f\n')[1].format == "jsonl"
    first, second = opened(tmp_path, b'[{"id": 1}, \f, {"id": 2}]')[0][::2]
    assert (first.raw, second.raw) == (b'{"id": 1}', b'{"id": 2}')


def test_where_the_list_is_and_what_is_not_read_is_said(tmp_path: Path) -> None:
    data = document({"categories": [{"id": 1}], "data": {"products": PRODUCTS}})
    lines, found, (said,) = opened(tmp_path, data)
    assert (len(lines), found.format, found.place) == (3, "json", "data.products")
    assert said.endswith("feed is JSON with the records in data.products; not read: categories")


@pytest.mark.parametrize(
    "record",
    [
        {"id": 1, "title": "x", "variants": [{"sku": "a"}], "items": [{"x": 1}]},
        {"artikel": 7, "name": "x", "bilder": [{"src": "a.png"}]},
        {"@type": "Product", "name": "x", "offers": [{"price": 3}]},
        {"id": 1, "nested": {"products": [{"a": 1}]}},
    ],
)
def test_one_object_is_one_product_with_its_lists(tmp_path: Path, record: dict[str, Any]) -> None:
    assert records(tmp_path, document(record)) == [record]
    assert records(tmp_path, document(record, None)) == [record]
    other = {**record, "more": 1}
    assert records(tmp_path, document(record, None) + b"\n" + document(other, None)) == [record, other]


def test_the_product_of_an_answer(tmp_path: Path) -> None:
    product = {"_id": "3017620422003", "product_name": "Nutella", "images": [{"a": 1}]}
    answer = {"code": "1", "product": product, "status": 1}
    assert records(tmp_path, document(answer)) == [product]
    # Of many lines each is the record, as --map reads it.
    assert records(tmp_path, document(answer, None) + b"\n" + document(answer, None)) == [answer, answer]
    bundle = {"id": 1, "products": [{"id": 2}]}
    assert records(tmp_path, document(bundle, None) + b"\n" + document(bundle, None)) == [bundle, bundle]


def test_broken_lines_stay_lines_and_are_rejected_one_by_one(tmp_path: Path) -> None:
    for broken in (
        b'{"id": "p1", "title": ',
        b'{"id": "p1"',
        b'{"id": 1, "t": NaN}',
        b"nonsense",
        b"# made by x",
    ):
        lines, found, _ = opened(tmp_path, broken + b"\n" + LINES)
        assert found.format == "jsonl"
        assert [line.number for line in lines] == [1, 2, 3, 4]


def test_the_bytes_of_a_record_stay_so_that_a_repeated_key_is_told(tmp_path: Path) -> None:
    (line, other), _, _ = opened(tmp_path, b'[{"id": 1,\r\n "id": 2}, {"id": 3 "t"}]')
    assert line.raw == b'{"id": 1,   "id": 2}'
    assert other.raw == b'{"id": 3 "t"}'


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"[1, 2]", "expected a list of objects in .*, got '1' as its first element"),
        (b'[{"id": 1} {"id": 2}]', "expected `,` after record 1 of .*, got '{\"id\": 2}]'"),
        (b'[{"id": 1}, {"id": 2', "expected a whole value after record 2 of .*, got the end of the file"),
        (b'[{"id": 1}', "expected `,` after record 1 of .*, got the end"),
        (b'{"p1": {"title": "x"}, "p2": {"title": "y"}}', "got one object with the keys p1, p2"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "got an HTML page"),
        (b"<shop><name>x</name></shop>", "expected a repeated element .* got <shop> without one"),
        (b"<items><item><id>1</id></item><item>", "no element found|unclosed"),
        (b"<items><item><id>1</idx></item></items>", "mismatched tag on line 1"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old Excel"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"{'id': 1}\n{'id': 2}\n{'id': 3}\n", "one JSON object per line, got lines that are none"),
        (b"<urlset><url><loc>a</loc></url><url><loc>b</loc></url></urlset>", "a sitemap"),
        (b"<ss:Workbook><Row><Cell>a</Cell></Row><Row><Cell>b</Cell></Row></ss:Workbook>", "Excel 2003"),
        (bytes(range(32)) * 40, "no text"),
        (b"just a few words\nand some more of them\nand a third line", "a table with one header"),
        (b"id,id\n1,2\n", "distinct column names"),
        (b",".join(b"c%d" % n for n in range(10_001)) + b"\n", "at most 10000 columns"),
        (codecs.BOM_UTF16_LE + "id,title\n1,x".encode("utf-16-le") + b"\0", "text in utf-16-le"),
        ("id;t\n1;стол деревянный\n2;большой стул\n3;лампа\n4;диван\n".encode("cp1251"), "another enc"),
        ("id;t\n1;zażółć gęślą\n2;łóżko\n3;półka\n4;krzesło\n5;stół\n".encode("cp1250"), "another enc"),
        ("id,t\n1,椅子の木製\n2,大きな机\n3,ソファ\n4,照明\n5,本棚\n".encode("shift_jis"), "another enc"),
        ("id;t\n1;Stühle rücken\n2;größer\n3;Küche\n4;Möbel\n5;schön\n".encode("mac_roman"), "another enc"),
    ],
)  # fmt: skip
def test_what_is_no_catalog_is_one_sentence(tmp_path: Path, data: bytes, told: str) -> None:
    with pytest.raises(CatalogError, match=told) as failed:
        opened(tmp_path, data)
    assert "\n" not in str(failed.value)
    assert str(failed.value).startswith("expected ")


RSS = """<?xml version="1.0" encoding="utf-8"?>
<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel>
<title>Shop</title><link>https://shop.example</link><description>All</description>
<image><url>logo.png</url><title>Shop</title></image>
<item><g:id>1</g:id><title><![CDATA[Stuhl & Tisch]]></title><g:price>19.50 EUR</g:price>
<g:image_link>a.png</g:image_link><g:additional_image_link>b.png</g:additional_image_link>
<g:additional_image_link>c.png</g:additional_image_link><g:brand/>
<g:shipping><g:country>DE</g:country><g:price>4 EUR</g:price></g:shipping></item>
<item><g:id>2</g:id><title>Caf&#233;&nbsp;&lt;neu&gt;</title></item>
</channel></rss>"""
RSS_RECORDS = [
    {
        "g:id": "1",
        "title": "Stuhl & Tisch",
        "g:price": "19.50 EUR",
        "g:image_link": "a.png",
        "g:additional_image_link": ["b.png", "c.png"],
        "g:shipping": {"g:country": "DE", "g:price": "4 EUR"},
    },
    {"g:id": "2", "title": "Café\xa0<neu>"},
]
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0"><title>Shop</title>
<author><name>x</name></author><entry xmlns="http://www.w3.org/2005/Atom"><g:id>1</g:id>
<link rel="alternate" href="https://shop.example/1"/><summary type="html">&lt;b>x</summary></entry></feed>"""
YML = """<?xml version="1.0" encoding="windows-1251"?><!DOCTYPE yml_catalog SYSTEM "shops.dtd">
<yml_catalog date="2026-01-01"><shop><name>Дом</name>
<currencies><currency id="RUR" rate="1"/></currencies>
<categories><category id="1">Мебель</category><category id="2" parentId="1">Стулья</category></categories>
<offers><offer id="12" available="true"><name>Стул</name><price>990</price><picture>a.jpg</picture>
<param name="Цвет">красный</param></offer></offers></shop></yml_catalog>"""


@pytest.mark.parametrize(
    ("data", "place", "expected"),
    [
        (RSS.encode(), "rss/channel/item", RSS_RECORDS),
        (RSS.replace("utf-8", "utf-16").encode("utf-16"), "rss/channel/item", RSS_RECORDS),
        (RSS.replace("utf-8", "ISO-8859-1").encode("latin-1"), "rss/channel/item", RSS_RECORDS),
        (
            ATOM.encode(),
            "feed/entry",
            [
                {
                    "g:id": "1",
                    "link": {"@rel": "alternate", "@href": "https://shop.example/1"},
                    "summary": {"@type": "html", "#text": "<b>x"},
                }
            ],
        ),
        (
            YML.encode("cp1251"),
            "yml_catalog/shop/offers/offer",
            [
                {
                    "@id": "12",
                    "@available": "true",
                    "name": "Стул",
                    "price": "990",
                    "picture": "a.jpg",
                    "param": {"@name": "Цвет", "#text": "красный"},
                }
            ],
        ),
        (
            b"<SHOP><SHOPITEM><ITEM_ID>1</ITEM_ID></SHOPITEM><SHOPITEM><ITEM_ID>2</ITEM_ID></SHOPITEM></SHOP>",
            "SHOP/SHOPITEM",
            [{"ITEM_ID": "1"}, {"ITEM_ID": "2"}],
        ),
        (
            b'<x:katalog xmlns:x="u"><head><made>1</made></head><ware nr="1" t="a"/><ware nr="2" t="b"/>'
            b"</x:katalog>",
            "x:katalog/ware",
            [{"@nr": "1", "@t": "a"}, {"@nr": "2", "@t": "b"}],
        ),
        (
            b"<shop><info><a>1</a></info><product sku='1'/><product sku='2'/></shop>",
            "shop/product",
            [{"@sku": "1"}, {"@sku": "2"}],
        ),
        (b"<product><id>1</id><title>x</title></product>", "product", [{"id": "1", "title": "x"}]),
        (
            b"<products><product><id>1</id><p>a<b>c</b>d</p></product></products>",
            "products/product",
            [{"id": "1", "p": {"b": "c", "#text": "ad"}}],
        ),
    ],
)
@pytest.mark.parametrize("name", ["feed", "feed.csv"])
def test_xml(tmp_path: Path, data: bytes, place: str, expected: list[dict[str, Any]], name: str) -> None:
    lines, found, _ = opened(tmp_path, data, name)
    assert [json.loads(line.raw) for line in lines] == expected
    assert [line.number for line in lines] == list(range(1, len(expected) + 1))
    assert (found.format, found.place) == ("xml", place)


def test_xml_in_an_encoding_that_it_does_not_name(tmp_path: Path) -> None:
    data = RSS.replace("Stuhl", "Stühle").encode("cp1252")
    lines, found, said = opened(tmp_path, data)
    assert json.loads(lines[0].raw)["title"] == "Stühle & Tisch"
    assert found.encoding == "cp1252"
    assert "in cp1252; if letters are wrong, save it as UTF-8" in said[0]


def test_white_space_before_xml(tmp_path: Path) -> None:
    assert records(tmp_path, b"\n \r\n" + RSS.encode()) == RSS_RECORDS


LAUGHS = "<!DOCTYPE r [" + "".join(
    f'<!ENTITY a{n} "{"ha" if n == 0 else f"&a{n - 1};" * 10}">' for n in range(10)
)
DANGEROUS = {
    "billion laughs": f"{LAUGHS}]><items><item><id>&a9;</id></item></items>",
    "one long entity": f'<!DOCTYPE r [<!ENTITY a "{"x" * 99_999}">]><items><item><id>&a;</id></item></items>',
    "a file": '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><items><item><id>&a;</id></item></items>',
    "an address": '<!DOCTYPE r [<!ENTITY % a SYSTEM "http://127.0.0.1:1/x"> %a;]><items><item/></items>',
    "an unknown entity": "<items><item><id>&secret;</id></item></items>",
}


@pytest.mark.parametrize("text", DANGEROUS.values(), ids=DANGEROUS)
def test_entities_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(CatalogError, match="entities"):
        opened(tmp_path, text.encode())


def test_odd_xml_costs_its_own_record_or_is_one_sentence(tmp_path: Path) -> None:
    deep = "<a>" * 30 + "x" + "</a>" * 30
    text = f"<items><item><id>1</id>{deep}</item><item><id>2</id></item></items>"
    first, second = opened(tmp_path, text.encode())[0]
    assert (first.trouble or ("",))[0] == "too_deep"
    assert json.loads(second.raw) == {"id": "2"}
    many = "<items><item><id>1</id>" + "<a/>" * 100_001 + "</item><item><id>2</id></item></items>"
    first, second = opened(tmp_path, many.encode())[0]
    assert (first.trouble or ("",))[0] == "record_too_long"
    with pytest.raises(CatalogError, match="200 deep"):
        opened(tmp_path, b"<a>" * 300)
    with pytest.raises(CatalogError, match="tags of at most 40 MiB"):
        opened(tmp_path, b"<items><item><id>1</id></item><item x='" + b"y" * (42 << 20))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("name", ["feed", "feed.csv", "feed.jsonl", "feed.txt"])
def test_tables(tmp_path: Path, separator: str, encoding: str, name: str) -> None:
    lines, found, said = opened(tmp_path, table(separator).encode(encoding), name)
    assert [json.loads(line.raw) for line in lines] == ROWS
    assert (found.separator, found.columns) == (separator, ("id", "title", "price"))
    plain = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(encoding, encoding)
    assert found.encoding == plain
    assert (plain in "".join(said)) == (plain != "utf-8")


@pytest.mark.parametrize(
    ("before", "text", "first"),
    [
        ("sep=;\r\n", table(";", "\r\n"), 3),
        ('"sep=\t"\n', table("\t"), 3),
        ("sep=|\n\n", table("|"), 4),
        ("\n", table(), 3),
        ("\r\n  \r\n", table(";", "\r\n"), 4),
        (",,\n", table(), 3),
    ],
)
def test_what_stands_before_a_header(tmp_path: Path, before: str, text: str, first: int) -> None:
    lines, found, _ = opened(tmp_path, (before + text).encode())
    assert [json.loads(line.raw) for line in lines] == ROWS
    assert [line.number for line in lines] == [first, first + 1]
    assert found.columns == ("id", "title", "price")


@pytest.mark.parametrize(
    "above", ["Export of 2026\n\n", "Export of 2026,,\n", "# made by us\n# for you\n", "sep=,\nExport\n"]
)
def test_titles_and_comments_above_a_header(tmp_path: Path, above: str) -> None:
    lines, found, (said,) = opened(tmp_path, (above + table()).encode(), "feed.csv")
    assert [json.loads(line.raw) for line in lines] == ROWS
    assert lines[0].number == above.count("\n") + 2
    assert found.columns == ("id", "title", "price")
    assert "above the header" in said
    book = workbook(["Export of 2026"], [], ["id", "title"], [1, "x"])
    assert [(line.number, json.loads(line.raw)) for line in opened(tmp_path, book)[0]] == [
        (4, {"id": 1, "title": "x"})
    ]


def test_a_table_of_one_column(tmp_path: Path) -> None:
    assert records(tmp_path, b"id\n1\n2\n", "feed.csv") == [{"id": "1"}, {"id": "2"}]
    with pytest.raises(CatalogError, match="a table with one header"):
        opened(tmp_path, b"id\n1\n2\n", "feed.txt")


def test_lists_without_products(tmp_path: Path) -> None:
    for data in (b"[]", b'{"products": []}', b'{\n"data": {"items": [ ]}, "count": 0}', b""):
        assert opened(tmp_path, data)[0] == []


def test_columns_without_or_with_the_same_name(tmp_path: Path) -> None:
    text = "id, title ,,image,image,,\n1,x,y,a.png,b.png,,\n,,,,,,\n2,x,,a.png,,,,\n"
    lines, found, _ = opened(tmp_path, text.encode(), "feed.csv")
    assert found.columns == ("id", "title", "column_3", "image", "image")
    assert [json.loads(line.raw) for line in lines] == [
        {"id": "1", "title": "x", "column_3": "y", "image": ["a.png", "b.png"]},
        {"id": "2", "title": "x", "image": "a.png"},
    ]
    assert [line.number for line in lines] == [2, 4]


def test_western_bytes_after_megabytes_of_ascii(tmp_path: Path) -> None:
    text = "id,title\n" + "".join(f"{number},chair\n" for number in range(200_000)) + "x,Stühle\n"
    lines, found, said = opened(tmp_path, text.encode("cp1252"))
    assert json.loads(lines[-1].raw)["title"] == "Stühle"
    assert found.encoding == "cp1252"
    assert any("is not UTF-8 and is read as cp1252" in each for each in said)


def test_damaged_bytes_in_utf_8_cost_their_line(tmp_path: Path) -> None:
    text = "".join(f'{{"id": "{number}", "title": "größer"}}\n' for number in range(9)).encode()
    lines, found, said = opened(tmp_path, text + b'{"id": "x", "title": "gr\xf6\xdfer \xff"}\n')
    assert found.encoding == "utf-8"
    assert said == []
    assert lines[-1].raw == b'{"id": "x", "title": "gr\xf6\xdfer \xff"}\n'


def test_sequences_that_a_chunk_cuts(tmp_path: Path) -> None:
    for before in range(4):
        body = b"x" * ((1 << 20) - 20 - before)
        data = b'{"id": "a", "t": "' + body + '€"}\n{"id": "b"}\n'.encode()
        lines, found, _ = opened(tmp_path, data)
        assert b"".join(line.raw for line in lines) == data
        assert found.encoding == "utf-8"


def test_xlsx(tmp_path: Path) -> None:
    import datetime

    day = datetime.datetime(2026, 1, 2)
    data = workbook(
        [],
        ["id", "title", "price", "since", "new", None],
        [77.0, " Stuhl ", 19.5, day, True],
        [],
        ["00078", "Tisch"],
        [79, "x", None, day.replace(hour=3), False, "beyond"],
    )
    lines, found, _ = opened(tmp_path, data, "feed.csv")
    assert [(line.number, line.trouble and line.trouble[0]) for line in lines] == [
        (3, None),
        (5, None),
        (6, "wrong_columns"),
    ]
    assert json.loads(lines[0].raw) == {
        "id": 77,
        "title": " Stuhl ",
        "price": 19.5,
        "since": "2026-01-02",
        "new": True,
    }
    assert json.loads(lines[1].raw) == {"id": "00078", "title": "Tisch"}
    assert (found.format, found.columns) == ("xlsx", ("id", "title", "price", "since", "new"))


def test_the_first_sheet_with_rows_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    more = {"Products": [["id", "title"], ["1", "x"]], "Prices": [["id"], ["1"]]}
    lines, _, (said,) = opened(tmp_path, workbook(title="Cover", more=more))
    assert [json.loads(line.raw) for line in lines] == [{"id": "1", "title": "x"}]
    assert "sheet 'Products'; not read: sheet 'Cover', sheet 'Prices'" in said
    with pytest.raises(CatalogError, match="a sheet with a header"):
        opened(tmp_path, workbook())


def spoilt(data: bytes, member: str, change: Any) -> bytes:
    """A workbook with another member, which may be new."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == member else old.read(name))
    return out.getvalue()


def as_excel_writes(data: bytes) -> bytes:
    """The workbook with its texts in a table of their own, as Excel has them, and not in the cells."""
    members = {}
    texts: list[bytes] = []

    def moved(found: re.Match[bytes]) -> bytes:
        texts.append(b"<si>" + found[1] + b"</si>")
        return b't="s"><v>%d</v>' % (len(texts) - 1)

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    members[sheet] = re.sub(rb't="inlineStr"><is>(.*?)</is>', moved, members[sheet])
    main = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    members["xl/sharedStrings.xml"] = b'<sst xmlns="%s">%s</sst>' % (main, b"".join(texts))
    kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    types = b'<Override PartName="/xl/sharedStrings.xml" ContentType="%s"/></Types>' % kind
    members["[Content_Types].xml"] = members["[Content_Types].xml"].replace(b"</Types>", types)
    return zipped(members)


def test_texts_as_excel_writes_them(tmp_path: Path) -> None:
    data = as_excel_writes(workbook(["id", "title"], [1, "Stühle"], [2, "a\nb"]))
    assert records(tmp_path, data) == [{"id": 1, "title": "Stühle"}, {"id": 2, "title": "a\nb"}]
    laughs = b'<!DOCTYPE sst [<!ENTITY a "x">]><sst'
    data = spoilt(data, "xl/sharedStrings.xml", lambda xml: xml.replace(b"<sst", laughs))
    with pytest.raises(CatalogError, match="document type"):
        opened(tmp_path, data)


@pytest.mark.parametrize(
    ("member", "change", "told"),
    [
        ("xl/worksheets/sheet1.xml", lambda xml: xml[:-40], "whole Excel workbook"),
        ("xl/workbook.xml", lambda xml: b"", "whole Excel workbook"),
        ("xl/workbook.xml", lambda xml: b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + xml, "document type"),
        ("xl/worksheets/sheet1.xml", lambda xml: b"<!DOCTYPE x>" + xml, "document type"),
        ("xl/worksheets/sheet1.xml", lambda xml: xml + b" " * (70 << 20), "decompression bomb"),
        (
            "xl/styles.xml",
            lambda xml: xml + b"<!-- " + bytes(range(256)) * (33 << 12) + b"-->",
            "bomb|32 MiB",
        ),
        (
            "xl/worksheets/sheet1.xml",
            lambda xml: xml.replace(b"</row>", b"<c/>" * 600_000 + b"</row>", 1),
            "rows of at most",
        ),
    ],
)
def test_damaged_and_dangerous_workbooks_are_one_sentence(
    tmp_path: Path, member: str, change: Any, told: str
) -> None:
    data = spoilt(workbook(["id", "title"], ["1", "x"]), member, change)
    with pytest.raises(CatalogError, match=told) as failed:
        opened(tmp_path, data)
    assert "\n" not in str(failed.value)


def test_a_cell_far_outside_costs_nothing(tmp_path: Path) -> None:
    far = b'<row r="99999999999"><c r="XFD1" t="inlineStr"><is><t>x</t></is></c></row></sheetData>'
    data = workbook(["id", "title"], ["1", "x"])
    data = spoilt(data, "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b"</sheetData>", far))
    lines, _, _ = opened(tmp_path, data)
    assert len(lines) == 1


PACKED = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": lambda data: zipped({"feed": data}),
}


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("data", [LINES, document({"products": PRODUCTS})], ids=["lines", "a document"])
def test_compressed(tmp_path: Path, kind: str, data: bytes) -> None:
    lines, found, _ = opened(tmp_path, PACKED[kind](data), "feed.csv")
    assert [json.loads(line.raw) for line in lines] == PRODUCTS
    assert found.compression == (kind,)
    twice = opened(tmp_path, gzip.compress(PACKED[kind](data)))[1]
    assert twice.compression == ("gzip", kind)
    with pytest.raises(CatalogError, match="at most 2 times"):
        opened(tmp_path, gzip.compress(gzip.compress(PACKED[kind](data))))
    with pytest.raises(CatalogError, match=r"to the end|whole zip"):
        opened(tmp_path, PACKED[kind](LINES * 99)[:-30])


def test_streams_one_after_another(tmp_path: Path) -> None:
    for compress, between in ((bz2.compress, b""), (lzma.compress, b"\0" * 8)):
        assert records(tmp_path, compress(LINES[:50]) + between + compress(LINES[50:])) == PRODUCTS


def test_workbooks_and_parquet_inside_others(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    book = workbook(["id"], ["1"])
    pa.parquet.write_table(pa.table({"id": ["1"]}), tmp_path / "p")
    for data in (book, (tmp_path / "p").read_bytes()):
        for packed in (data, gzip.compress(data), bz2.compress(data), zipped({"feed": data})):
            assert records(tmp_path, packed) == [{"id": "1"}]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (zipped({"a": LINES, "b": LINES}), "expected one file in the archive .*, got 2: a, b"),
        (zipped({}), "got none"),
        (zipped({"content.xml": b"<x/>"}), "xlsx, CSV or JSON in .*, got ods"),
        (b"PK\x03\x04" + b"x" * 90, "whole zip archive"),
    ],
)
def test_other_archives_are_one_sentence(tmp_path: Path, data: bytes, told: str) -> None:
    with pytest.raises(CatalogError, match=told):
        opened(tmp_path, data)


def test_a_macs_own_files_in_an_archive_do_not_count(tmp_path: Path) -> None:
    assert records(tmp_path, zipped({"feed": LINES, "__MACOSX/._feed": b"x"})) == PRODUCTS


def test_an_archive_with_a_password_is_one_sentence(tmp_path: Path) -> None:
    data = bytearray(zipped({"feed": LINES}))
    for header, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(header) + offset] |= 1
    with pytest.raises(CatalogError, match="without a password"):
        opened(tmp_path, bytes(data))


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("end", ["\n", ""], ids=["lines", "one line"])
def test_decompression_bombs_are_refused(tmp_path: Path, kind: str, end: str) -> None:
    data = PACKED[kind](b'{"id": "a' + (b"x" * 999 + end.encode()) * 200_000)
    assert len(data) < 1_000_000
    with pytest.raises(CatalogError, match="decompression bomb"):
        opened(tmp_path, data)


@pytest.mark.parametrize(
    "data",
    [
        *(document(PRODUCTS), LINES, document({"products": PRODUCTS})),
        *(compress(LINES) for compress in PACKED.values()),
        workbook(["id", "title"], ["a", PRODUCTS[0]["title"]]),
        b"id;title\na;" + "Stühle, groß".encode("cp1252"),
        RSS.encode(),
    ],
    ids=lambda data: ascii(data[:6]),
)
def test_everything_comes_through_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    class Pipe(io.RawIOBase):
        """Gives a few bytes at a time, as a slow writer does."""

        def __init__(self) -> None:
            self.left = data

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            part, self.left = self.left[:700], self.left[700:]
            buffer[: len(part)] = part
            return len(part)

    expected = [line.raw for line in opened(tmp_path, data)[0]]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Pipe())))
    catalog = Catalog("-")
    assert [line.raw for line in catalog] == expected
    catalog.close()


def test_a_long_document_is_read_in_bounded_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "feed.json"
    with path.open("wb") as file:
        file.write(b'{"products": [')
        for number in range(100_000):
            file.write(b'%s{"id": "%d", "title": "%s"}' % (b"," * bool(number), number, b"x" * 200))
        file.write(b"]}")
    catalog = Catalog(str(path))
    tracemalloc.start()
    count = sum(1 for _ in catalog)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    catalog.close()
    assert count == 100_000
    assert peak < 12 << 20


def test_a_record_that_is_too_long_is_cut_and_the_next_one_read(tmp_path: Path) -> None:
    long = b'{"id": "a", "t": "' + b"\\\\x" * (15 << 20) + b'"}'
    first, second = opened(tmp_path, b"[" + long + b', {"id": "b"}]')[0]
    assert (first.trouble or ("",))[0] == "line_too_long"
    assert len(first.raw) < 2_000
    assert json.loads(second.raw) == {"id": "b"}


def test_json_scanned_in_pieces_against_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmsearch.products.formats.documents import json_scan

    class Trickle(io.RawIOBase):
        def __init__(self, data: bytes, size: int) -> None:
            self.data, self.size = data, size

        def read(self, size: int = -1, /) -> bytes:
            part, self.data = self.data[: self.size], self.data[self.size :]
            return part

    value = {'k"[': ['\\"', "]}", {"a": [1.5e3, None, True]}, "é\\\\"], "b\\": {}}
    data = json.dumps(value).encode() + b' 12 "x\\"y" [] -3.5e+1'
    for size in (1, 2, 3, 7, 1000):
        scanner = json_scan.Scanner(Trickle(data, size))
        found = [scanner.value() for _ in range(5)]
        assert [json.loads(raw) for raw, _ in found] == [value, 12, 'x"y', [], -35.0]
        assert scanner.sign() == ""
        scanner = json_scan.Scanner(Trickle(data, size))
        raw, whole = scanner.value(5)
        assert not whole
        assert data.startswith(raw)
        assert json.loads(scanner.value()[0]) == 12


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[IngestedCatalog]:
    with FakeTriton() as triton, FakeOpenSearch() as node:
        yield IngestedCatalog(tmp_path, triton, node)


@pytest.mark.parametrize(
    ("data", "names", "number"),
    [
        (RSS.replace("<g:id>2</g:id>", "").encode(), {"id": "g:id"}, 2),
        (document({"products": [{"sku": "1", "title": "x"}, {"title": "y"}]}), {"id": "sku"}, 2),
        (b"sep=;\nsku;title\n1;x\n;y\n", {"id": "sku"}, 4),
        (workbook(["sku", "title"], [1, "x"], [None, "y"]), {"id": "sku"}, 3),
    ],
    ids=["xml", "json", "csv", "xlsx"],
)
def test_rejects_have_the_number_of_their_record_and_can_be_mended(
    catalog: IngestedCatalog, data: bytes, names: dict[str, str], number: int
) -> None:
    feed = catalog.folder / "feed"
    feed.write_bytes(data)
    report = catalog.ingest(catalog=str(feed), renames=names)
    assert (report.indexed, report.rejected) == (1, 1)
    (entry,) = catalog.rejected()
    assert (entry["line"], entry["reason"]) == (number, "missing_id")
    assert any(f"{feed} is " in message for message in catalog.messages)
    entry["record"][names["id"]] = 2
    rejects = catalog.folder / "fixed.jsonl"
    rejects.write_text(json.dumps(entry) + "\n", encoding="utf-8")
    still = catalog.folder / "still.jsonl"
    again = catalog.ingest(catalog=str(rejects), retry=True, renames=names, rejects=still)
    assert (again.indexed, sorted(catalog.node.sources())) == (1, ["1", "2"])
    assert catalog.ingest(catalog=str(feed), renames=names).unchanged == 1
