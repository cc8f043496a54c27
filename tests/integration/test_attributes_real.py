"""Attributes on a real node: each is compared by its type, no value rejects a product, and none is lost."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from opensearchpy import OpenSearch

from mmsearch import Client
from mmsearch.cli.main import cli
from mmsearch.clients.opensearch import ask, connect
from mmsearch.ingest.schema.attributes import joined
from mmsearch.products.record import Line, parse
from mmsearch.products.values.kinds import fits

from ..fakes.fake_triton import FakeTriton
from ..unit.test_attributes import odd_attributes

pytestmark = pytest.mark.integration
INDEX = "typed-attributes"
FLAT = {
    "index_patterns": [f"{INDEX}-*"],
    "template": {"mappings": {"properties": {"attributes": {"type": "flat_object"}}}},
}


class Shop:
    """A catalog in a folder, an index of the real node, and an encoder at the wire."""

    def __init__(self, folder: Path, triton: FakeTriton, url: str, client: OpenSearch) -> None:
        self.folder = folder
        self.triton = triton
        self.url = url
        self.client = client

    def run(self, *arguments: str, code: int = 0) -> Result:
        environment = {"MMSEARCH_INDEX": INDEX, "MMSEARCH_CACHE": str(self.folder / "cache")}
        servers = ("--opensearch", self.url)
        if arguments[0] != "search":
            servers += ("--triton", self.triton.url)
        done = CliRunner(env=environment).invoke(cli, [*arguments, *servers])
        assert done.exit_code == code, done.output
        return done

    def ingest(self, *records: dict[str, Any], options: tuple[str, ...] = ()) -> dict[str, Any]:
        """The summary of a run, in which nothing was rejected."""
        path = self.folder / "catalog.jsonl"
        path.write_text("".join(json.dumps(each) + "\n" for each in records), encoding="utf-8")
        done = self.run("ingest", str(path), "--language", "en", "--processes", "0", "--json", *options)
        summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        assert (summary["rejected"], summary["exit_code"]) == (0, 0)
        return summary

    def partial(self, **change: Any) -> dict[str, Any]:
        path = self.folder / "feed.jsonl"
        path.write_text(json.dumps(change) + "\n", encoding="utf-8")
        done = self.run("ingest", str(path), "--partial", "--processes", "0", "--json")
        summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        assert (summary["indexed"], summary["encoder_calls"]) == (1, 0)
        return summary

    def source(self, identifier: str) -> dict[str, Any]:
        found: dict[str, Any] = ask(self.client, "GET", f"/{INDEX}/_doc/{identifier}")["_source"]
        return found

    def count(self, **filters: Any) -> int:
        """How many products these filters leave, by the query that `search` asks with."""
        with Client(self.url, index=INDEX) as shop:
            found = shop.search("product", mode="lexical", filter=filters, k=1)
        total = found.answer["hits"]["total"]
        assert total["relation"] == "eq"
        return int(total["value"])

    def found(self, words: str) -> set[str]:
        with Client(self.url, index=INDEX) as shop:
            return {hit.id for hit in shop.search(words, mode="lexical", k=100)}


@pytest.fixture
def shop(opensearch: Any, tmp_path: Path) -> Iterator[Shop]:
    client = connect(opensearch.url)
    with FakeTriton() as triton:
        try:
            yield Shop(tmp_path, triton, opensearch.url, client)
        finally:
            params = {"expand_wildcards": "all"}
            for name in ask(client, "GET", f"/{INDEX}*", params=params):
                ask(client, "DELETE", f"/{name}")
            client.close()


def test_numbers_dates_and_booleans_are_compared_as_such(shop: Shop) -> None:
    drawn = random.Random(7)
    products: list[dict[str, Any]] = [
        {
            "id": str(number),
            "title": "product",
            "width": drawn.choice([number % 250, f"{number % 250}", number % 250 + 0.5]),
            "since": f"20{number % 24:02}-{number % 12 + 1:02}-05",
            "new": drawn.choice([True, False, "true", "false"]),
            "size": {"depth": number},
            "tags": ["red", "blue"] if number % 2 else "red",
        }
        for number in range(826)
    ]
    shop.ingest(*products)

    def expected(test: Any) -> int:
        return sum(bool(test(each)) for each in products)

    wide = expected(lambda each: float(each["width"]) > 100)
    assert 0 < wide < 700
    assert shop.count(width={"gt": 100}) == wide
    assert shop.count(width={"gte": "9", "lt": 10}) == expected(lambda each: 9 <= float(each["width"]) < 10)
    assert shop.count(width=9) == expected(lambda each: float(each["width"]) == 9)
    assert shop.count(since={"gte": "2010-01-01", "lt": "2012-07"}) == expected(
        lambda each: "2010" <= each["since"] < "2012-07"
    )
    assert shop.count(since="2011") == expected(lambda each: each["since"].startswith("2011"))
    assert shop.count(since={"gt": "2010", "lte": "2011"}) == shop.count(since="2011")
    assert shop.count(since="2011-03") == expected(lambda each: each["since"].startswith("2011-03"))
    assert shop.count(new=True) == expected(lambda each: each["new"] in (True, "true"))
    assert shop.count(new="false") == expected(lambda each: each["new"] in (False, "false"))
    assert shop.count(tags="blue", **{"size.depth": {"lte": 100}}) == 50
    lines = shop.run(
        "search", "product", "--mode", "lexical", "-k", "100", "--json",
        *("--filter", "width>100", "--filter", "width<=104", "--filter", "new=true"),
    ).stdout.splitlines()  # fmt: skip
    assert len(lines) == shop.count(width={"gt": 100, "lte": 104}, new=True) > 0


DATES = [
    "2024-01-05", "2024-01-05T10:00", "2024-01-05T10:00:00Z", "2024-01-05T10:00:00.123456789+01:00",
    "2024-01-05T10:00:00,5-0330", "2024-01-05 10:00", "2024-01-05 10:00:00.123456", "2024-01-05 10:00:00Z",
    "2024-01-05 10:00:00+14:00", "0001-01-01", "9999-12-31T23:59:59.999Z",
]  # fmt: skip


def test_what_fits_a_type_is_indexed_by_the_node(shop: Shop) -> None:
    """The client's own check and the node's agree: nothing that fits is left out silently."""
    values = {
        "number": [0, -5, 12.5, "12", "-0.5", "1e-05", 2**53, 1e300, [1, "2"], "1.5e+16", "-0"],
        "ean": [2**53 + 1, 2**63 - 1, "-9223372036854775808", 5],
        "since": DATES,
        "flag": [True, False, "true", "false", [True, "false"]],
    }
    kinds = {"number": "double", "ean": "long", "since": "date", "flag": "boolean"}
    for name, each in values.items():
        assert all(fits(kinds[name], value) for value in each)
    products = [
        {"id": f"{name}-{number}", "title": "product", name: value}
        for name, each in values.items()
        for number, value in enumerate(each)
    ]
    assert "reasons" not in shop.ingest(*products)
    for name, each in values.items():
        query = {"query": {"exists": {"field": f"attributes.{name}"}}}
        assert ask(shop.client, "POST", f"/{INDEX}/_count", body=query)["count"] == len(each), name
    ignored = {"query": {"exists": {"field": "_ignored"}}}
    assert ask(shop.client, "POST", f"/{INDEX}/_count", body=ignored)["count"] == 0


def test_no_value_rejects_a_product_or_is_lost(shop: Shop) -> None:
    odd: dict[str, Any] = {
        "": {"x": 1}, " ": 1, ".": 2, "a.": 3, ".a": 4, "a..b": 5, "a*": 6, "b\n": 7, "Colour": "red",
        "colour": "blue", "a.b": 1, "n" * 300: 1, "w" * 33_000: 1, "_id": "x", "type": "t",
        "properties": {"p": 1},
        "mixed": [1, "a", {"y": 2}, [3, [4]]], "size": "12 cm", "flag": "yes", "since": "2024-02-30",
        "huge": int("9" * 30), "text": "é" * 20_000, "lists": ["x" * 33_000, "y"], "empty": "", "none": {},
        "nan": "NaN", "inf": "inf", "code": "007", "deep": {"x": {"y": {"z": ["leaf"]}}},
    }  # fmt: skip
    first = [
        {"id": str(n), "title": "product", "size": n, "flag": True, "since": "2024-01-05"} for n in range(9)
    ]
    typed = [{**each, "colour": "red", "Colour": "blue", "code": 5, "nan": 1.5, "x": 2} for each in first]
    summary = shop.ingest(*typed, {"id": "odd", "title": "product", **odd})
    assert summary["indexed"] == 10
    assert summary["reasons"]["unfit_attributes"].keys() >= {"size", "flag", "since"}
    assert summary["long_attributes"] == 3
    source = shop.source("odd")
    kept = parse(Line(1, json.dumps({"id": "odd", **odd}).encode())).attributes
    assert joined(source) == kept
    assert kept["huge"] == "9" * 30
    assert shop.count(size="12 cm") == shop.count(flag="yes") == shop.count(since="2024-02-30") == 1
    assert shop.count(colour="blue") == 1
    assert shop.count(Colour="blue") == 9
    assert shop.count(size=3) == 1
    assert summary["indexed"] == shop.ingest(*typed, {"id": "odd", "title": "product", **odd})["unchanged"]


def test_random_attributes_are_all_taken_and_kept(shop: Shop) -> None:
    drawn = random.Random(13)
    products = [{"id": str(n), "title": "product", "attributes": odd_attributes(drawn)} for n in range(400)]
    assert shop.ingest(*products)["indexed"] == 400
    for each in drawn.sample(products, 40):
        assert joined(shop.source(each["id"])) == each["attributes"]
    assert shop.ingest(*products)["unchanged"] == 400
    ignored = {"query": {"exists": {"field": "_ignored"}}}
    assert ask(shop.client, "POST", f"/{INDEX}/_count", body=ignored)["count"] == 0
    # The same by partial lines, so that values move between the fields.
    for number in range(30):
        change = odd_attributes(drawn, 0)
        if "" not in change.values() and {} not in change.values() and [] not in change.values():
            shop.partial(id=str(number), attributes=change)
            assert change.items() <= joined(shop.source(str(number))).items()


def test_a_long_keyword_is_kept_and_one_of_the_longest_is_found(shop: Shop) -> None:
    products = [
        {"id": str(size), "title": "product", "care": "w" * size}
        for size in (9, 32_000, 32_766, 32_767, 40_000)
    ]
    assert shop.ingest(*products)["long_attributes"] == 2
    assert shop.count(care="w" * 32_766) == 1
    assert shop.source("40000")["long_attributes"] == {"care": "w" * 40_000}
    assert "care" in shop.source("32766")["attributes"]
    flat = [{"id": str(size), "title": "product", "care": "w" * size} for size in range(32_710, 32_767)]
    for name in ask(shop.client, "GET", f"/{INDEX}*"):
        ask(shop.client, "DELETE", f"/{name}")
    assert shop.ingest(*flat, options=("--attribute-fields", "0"))["indexed"] == len(flat)


def test_the_cap_holds_and_the_rest_is_compared_as_text(shop: Shop) -> None:
    names = {f"n{number}": number for number in range(300)}
    products = [{"id": str(n), "title": "product", "often": n, **(names if n == 3 else {})} for n in range(5)]
    shop.ingest(*products)
    mapping = ask(shop.client, "GET", f"/{INDEX}/_mapping")[f"{INDEX}-000001"]["mappings"]["properties"]
    assert len(mapping["attributes"]["properties"]) == 200
    assert "often" in mapping["attributes"]["properties"]
    assert "n250" not in mapping["attributes"]["properties"]
    assert shop.count(often={"gte": 3}) == 2
    assert (shop.count(n250=250), shop.count(n250="250"), shop.count(n250=251)) == (1, 1, 0)
    many = {f"m{number}": number for number in range(1_200)}
    for name in ask(shop.client, "GET", f"/{INDEX}*"):
        ask(shop.client, "DELETE", f"/{name}")
    shop.ingest({"id": "1", "title": "product", **many}, options=("--attribute-fields", "1200"))
    assert shop.count(m1100={"gt": 1_099}) == 1


def test_words_of_attributes_are_found_in_the_indexs_language(shop: Shop) -> None:
    shop.ingest(
        {"id": "1", "title": "sofa", "material": "Leathers", "n": 5},
        {"id": "2", "title": "chair", "material": "oak", "finish": {"legs": ["waxed tables"]}, "n": 6},
        *({"id": str(n), "title": "desk", "material": "pine", "n": n} for n in range(3, 40)),
        {"id": "late", "title": "lamp", "n": "brass handles"},
        options=("--attribute-fields", "2"),
    )
    assert shop.found("leather") == {"1"}
    assert shop.found("table") == {"2"}
    assert shop.found("handle") == {"late"}
    shop.partial(id="2", finish="painted")
    assert (shop.found("table"), shop.found("paint")) == (set(), {"2"})


def test_a_partial_line_moves_a_value_to_the_field_that_it_fits(shop: Shop) -> None:
    products = [{"id": str(n), "title": "product", "width": n, "note": "new"} for n in range(20)]
    shop.ingest(*products)
    assert shop.partial(id="5", width="12 cm")["unfit_attributes"] == 1
    assert shop.count(width=5) == 0
    assert shop.count(width="12 cm") == 1
    assert shop.found("cm") == {"5"}
    shop.partial(id="5", width=12, price=3)
    assert joined(shop.source("5")) == {"note": "new", "width": 12}
    assert shop.found("cm") == set()
    assert shop.count(width=12) == 2
    assert "unchanged" in shop.partial(id="5", width=12, price=3)
    assert shop.partial(id="5", width=12, price=3)["unchanged"] == 1
    # A name that no product had gets a field at once.
    shop.partial(id="5", stock=40)
    assert shop.count(stock={"gte": 5}) == 1
    # What the feed alone brings stays, wherever it lies, and so do its words.
    shop.partial(id="5", stock="sold out")
    products[5]["price"] = 9
    assert shop.ingest(*products)["encoded"] == 0
    assert joined(shop.source("5")) == {"note": "new", "width": 5, "stock": "sold out"}
    assert shop.found("sold") == {"5"}


def test_an_older_index_goes_on_and_reindex_brings_it_over(shop: Shop) -> None:
    products: list[dict[str, Any]] = [{"id": str(n), "title": "product", "width": n} for n in range(300)]
    shop.ingest(*products, options=("--attribute-fields", "0"))
    about = ask(shop.client, "GET", f"/{INDEX}-000001")[f"{INDEX}-000001"]
    mappings = about["mappings"]
    for name in ("other_attributes", "long_attributes", "attribute_words"):
        del mappings["properties"][name]
    mappings["properties"]["attributes"] = {"type": "flat_object"}
    del mappings["_meta"]["mmsearch"]["schema"]["attribute_fields"]
    analysis = {
        "analysis": about["settings"]["index"]["analysis"],
        "similarity": about["settings"]["index"]["similarity"],
    }
    ask(shop.client, "DELETE", f"/{INDEX}-000001")
    body = {"settings": {"index": {"knn": True, **analysis}}, "mappings": mappings, "aliases": {INDEX: {}}}
    ask(shop.client, "PUT", f"/{INDEX}-000001", body=body)
    assert shop.ingest(*products)["indexed"] == 300
    products[7]["price"] = 5
    assert shop.ingest(*products)["encoded"] == 0
    shop.partial(id="8", stock=30)
    shop.partial(id="9", note="n" * 900)
    assert shop.source("8")["attributes"] == {"width": 8, "stock": 30}
    assert shop.count(width=120) == 1
    refused = shop.run("search", "product", "--mode", "lexical", "--filter", "width>100", code=1).stderr
    assert "compares all attributes as text; build its successor by: mmsearch reindex" in refused
    catalog = str(shop.folder / "catalog.jsonl")
    shop.triton.versions["2"] = "e" * 64
    shop.run("reindex", catalog, "--queries", "0")
    assert shop.count(width={"gt": 100}) == 199
    assert shop.count(stock={"gt": 4}) == 1
    assert joined(shop.source("9")) == {"width": 9, "note": "n" * 900}
    shop.run("reindex", "--queries", "0", "--attribute-fields", "1")
    assert shop.count(width={"gt": 100}) == 199
    assert shop.source("8")["other_attributes"] == {"stock": 30}


def test_an_older_index_template_is_named(shop: Shop) -> None:
    ask(shop.client, "PUT", f"/_index_template/{INDEX}", body=FLAT)
    (shop.folder / "c.jsonl").write_text('{"id": "1", "title": "product", "width": 5}\n')
    try:
        refused = shop.run("ingest", str(shop.folder / "c.jsonl"), code=1).stderr
        assert "replace it with opensearch/products.template.json of this release" in refused
    finally:
        ask(shop.client, "DELETE", f"/_index_template/{INDEX}")
