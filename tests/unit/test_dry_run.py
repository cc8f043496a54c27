"""`mmsearch ingest --dry-run`: the newcomer's page."""

# ruff: noqa: E501 - catalogs are as they are

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mmsearch.cli.main import cli

from ..fakes.fake_opensearch import FakeOpenSearch
from ..fakes.fake_triton import FakeTriton
from ..fakes.ingesting import picture

Dry = Callable[..., Result]
TEXT = (
    "The chair is made of solid oak and stands in the kitchen of a house where people eat and drink together."
)


@pytest.fixture
def dry(tmp_path: Path) -> Iterator[Dry]:
    """A dry run over a catalog of that name and content."""
    with FakeTriton() as triton, FakeOpenSearch() as node:

        def run(name: str, content: str, *options: str) -> Result:
            (tmp_path / name).write_text(content)
            servers = ("--opensearch", node.url, "--triton", triton.url, "--processes", "0")
            done = CliRunner().invoke(cli, ["ingest", str(tmp_path / name), "--dry-run", *servers, *options])
            assert node.indices == {}
            return done

        yield run


def row(done: Result, name: str) -> str:
    """What the page says behind a name."""
    found = [line[2:] for line in done.stdout.splitlines() if line[2:].split("  ")[0].strip() == name]
    return found[0][len(name) :].strip()


def test_a_feed_of_a_platform(dry: Dry, tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(picture("red"))
    done = dry(
        "export.csv",
        "Handle,Title,Body (HTML),Vendor,Type,Option1 Name,Option1 Value,Variant Price,Image Src,Gift Card\n"
        f"hoodie,Wool hoodie,<p>{TEXT}</p>,Nord,Clothing > Hoodies,Size,S,59.00,/red.png?v=1,\n"
        "hoodie,,,,,,L,49.50,,\n"
        f"mug,Stone mug,{TEXT[::-1]} {TEXT.upper()} {TEXT} {TEXT},Nord,Kitchen,,,on request,gone.png,\n"
        "bowl,Bowl,A bowl,Nord,Kitchen,,,$9,gone.png,\n",
    )
    assert done.exit_code == 3, done.output
    assert row(done, "feed") == "Shopify"
    assert row(done, "products") == "2 of 3 can be read"
    assert row(done, "id") == "hoodie"
    assert row(done, "title") == "Wool hoodie"
    assert row(done, "price") == "49.5"
    assert row(done, "category_levels") == '["Clothing", "Clothing > Hoodies"]'
    assert row(done, "attributes.Size") == '["S", "L"]'
    assert "  title                 from Title\n" in done.stdout
    assert "  without values        Gift Card\n" in done.stdout
    assert "  price                 2 of 2\n" in done.stdout
    assert "rejected, wrong_type: such as 'mug' on line 4: expected a number" in done.stdout
    assert "rejected, not_found: such as 'bowl' on line 5: expected a picture" in done.stdout
    assert "1 product has missing pictures: --image-root DIR" in done.stdout
    assert "nothing was stored" in done.stdout
    assert "rejected, not_found" not in done.stderr


def test_what_is_missing_is_named_with_the_option_that_helps(dry: Dry) -> None:
    lines = [
        {"id": n, "name": f"Oak chair {n}", "details": {"preis": 3}, "photo": "https://x.test/a.jpg"}
        for n in (1, 2)
    ]
    done = dry("shop.jsonl", "".join(json.dumps(line) + "\n" for line in lines), "--map", "brand=name")
    assert row(done, "feed") == "no known platform; its columns are read as they are"
    for said in (
        "no product has a title\n",
        "no product has a price: --map price=details.preis reads it from there\n",
        "no product has a picture: --map image=photo reads it from there\n",
        "the language of the texts is not known: set it, for example --language de",
    ):
        assert said in done.stdout
    done = dry("shop.jsonl", "".join(json.dumps(line) + "\n" for line in lines), "--map", "image=photo")
    assert "no product has a title: --map title=name reads it from there\n" in done.stdout
    assert "2 products have pictures by URL: --fetch-images downloads them\n" in done.stdout


def test_nothing_is_missing(dry: Dry, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    record = {
        "id": 1,
        "title": "Chair",
        "description": TEXT * 3,
        "category": "Seats",
        "price": 3,
        "image": "a.png",
    }
    more = f"{TEXT} Another sentence about wooden furniture that helps with telling which language this is, surely."
    done = dry(
        "shop.jsonl",
        json.dumps(
            {
                **record,
                "description": more + more + " Every word counts once, they say, so here "
                "come several others: velvet cushions, patterned fabrics, hand woven baskets, modern glass lamps, soft carpets.",
            }
        )
        + "\n",
    )
    assert (done.exit_code, row(done, "language")) == (0, "English")
    assert "Nothing is missing.\n" in done.stdout


def test_json_has_the_survey(dry: Dry) -> None:
    done = dry("shop.jsonl", '{"objectID": "1", "name": "Chair", "colour": "red"}\n', "--json")
    survey = json.loads(done.stdout)["survey"]
    assert (survey["preset"], survey["products"], survey["filled"]["title"]) == ("Algolia", 1, 1)
    assert survey["first"] == {"id": "1", "title": "Chair", "attributes": {"colour": "red"}, "group": "1"}
    assert survey["columns"]["read"] == {"id": ["objectID"], "title": ["name"]}
    assert survey["columns"]["attributes"] == ["colour"]


@pytest.mark.parametrize(
    ("name", "content", "option"),
    [
        (
            "shop.csv",
            "SKU,Bezeichnung,List Price\n1,Stuhl,3\n",
            "--map id=SKU --map title=Bezeichnung --map 'price=List Price'",
        ),
        ("shop.csv", "what,text\n1,Stuhl\n", "--map id=what --map description=text"),
        (
            "shop.jsonl",
            '{"kind": "a", "about": {"sku": 1}}\n{"kind": "b", "about": {"sku": 2}}\n',
            "--map id=about.sku",
        ),
    ],
)
def test_a_catalog_without_ids_is_one_sentence(dry: Dry, name: str, content: str, option: str) -> None:
    done = dry(name, content)
    assert done.exit_code == 1
    (said,) = [line for line in done.stderr.splitlines() if "expected a column `id`" in line]
    assert said.endswith(option)
