"""From the quick start to a catalog of one's own: a shop's CSV with its own columns, on real servers."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sample_data import drawn

from mmsearch.cli.main import cli
from mmsearch.clients.opensearch import ask, connect

pytestmark = pytest.mark.integration
INDEX = "newcomer"
MAP = ("id=sku", "title=name", "description=desc", "image=img")
"""`price` needs none: the shop calls it as we do"""


@dataclass(frozen=True)
class Shop:
    """The shop's file, what stands in it, and how to run commands."""

    file: Path
    prices: dict[str, Decimal]
    environment: dict[str, str]
    first_run: Result

    def run(self, *arguments: str, code: int = 0) -> Result:
        result = CliRunner(env=self.environment).invoke(cli, list(arguments))
        assert result.exit_code == code, result.output
        return result

    def found(self, *arguments: str) -> list[dict[str, Any]]:
        lines = self.run("search", *arguments, "--json").stdout.splitlines()
        return [json.loads(line) for line in lines]

    def ask(self, body: dict[str, Any]) -> dict[str, Any]:
        client = connect(self.environment["MMSEARCH_OPENSEARCH"])
        try:
            answer: dict[str, Any] = ask(client, "POST", f"/{INDEX}/_search", body=body)
        finally:
            client.close()
        return answer


def ingest(file: Path) -> tuple[str, ...]:
    """The command's arguments, as the quick start has them."""
    return ("ingest", str(file), *(part for name in MAP for part in ("--map", name)), "--json")


@pytest.fixture(scope="module")
def shop(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    catalog = drawn.write_catalog(folder)
    products = [json.loads(line) for line in catalog.read_text(encoding="utf-8").splitlines()]
    catalog.unlink()
    prices = {each["id"]: Decimal(number * 137 + 1999) / 100 for number, each in enumerate(products)}
    prices["red-flag"] = Decimal("1299.00")
    file = folder / "shop.csv"
    with file.open("w", newline="", encoding="utf-8-sig") as target:
        rows = csv.writer(target, delimiter=";")
        rows.writerow(["sku", "name", "desc", "img", "price", "stock"])
        for number, each in enumerate(products):
            price = f"{prices[each['id']]:,}".translate(str.maketrans(",.", ".,"))
            text = f"A {each['colour']} {each['category']}; for the house, and for children."
            rows.writerow([each["id"], each["title"], text, each["image"], price, number % 3])
        rows.writerow(["no-picture", "Grey ball", "Lost in the post.", "pictures/none.png", "1,00", 1])
        rows.writerow(["no-price", "White box", "", "pictures/red-box.png", "on request", 1])
    environment = {**stack.environment, "MMSEARCH_INDEX": INDEX}
    first = CliRunner(env=environment).invoke(cli, list(ingest(file)))
    assert first.exit_code == 3, first.output
    yield Shop(file, prices, environment, first)
    client = connect(environment["MMSEARCH_OPENSEARCH"])
    ask(client, "DELETE", f"/{INDEX}-000001")
    client.close()


def test_the_summary_counts_every_row_once(shop: Shop) -> None:
    first = json.loads(shop.first_run.stdout.splitlines()[-1])
    assert {key: first[key] for key in ("read", "indexed", "encoded", "unchanged", "rejected")} == {
        "read": 50, "indexed": 48, "encoded": 48, "unchanged": 0, "rejected": 2,
    }  # fmt: skip
    assert f"mmsearch retry {shop.file.with_name('shop.csv.rejects.jsonl')}" in shop.first_run.stderr
    again = json.loads(shop.run(*ingest(shop.file), code=3).stdout.splitlines()[-1])
    assert (again["unchanged"], again["encoded"], again["encoder_calls"], again["rejected"]) == (48, 0, 0, 2)


def test_the_prices_are_the_files(shop: Shop) -> None:
    answer = shop.ask({"size": 0, "track_total_hits": True, "aggs": {"price": {"stats": {"field": "price"}}}})
    found = answer["aggregations"]["price"]
    assert answer["hits"]["total"]["value"] == 48
    assert found["count"] == 48
    assert found["max"] == 1299.0
    assert found["min"] == pytest.approx(19.99)
    assert found["sum"] == pytest.approx(float(sum(shop.prices.values())), rel=1e-6)


def test_words_meaning_and_pictures_find(shop: Shop) -> None:
    assert shop.found("purple kite", "--mode", "lexical")[0]["_id"] == "purple-kite"
    hybrid = shop.found("purple kite")
    assert hybrid[0]["_id"] == "purple-kite"
    assert {leg["name"] for leg in hybrid[0]["fields"]["_legs"]} == {"lexical", "dense"}
    climbing = shop.found("something to climb up with", "--mode", "neural", "-k", "5")
    assert [hit["_id"].partition("-")[2] for hit in climbing].count("ladder") >= 3, climbing
    picture = shop.file.parent / "pictures" / "green-plate.png"
    assert shop.found("--image", str(picture), "-k", "3")[0]["_id"] == "green-plate"


def test_a_column_of_the_shops_own_filters(shop: Shop) -> None:
    hits = shop.found("ball", "--filter", "stock=1", "-k", "50")
    assert {hit["_id"] for hit in hits} == set(list(shop.prices)[1::3])


def test_what_was_rejected_is_mended_and_taken(shop: Shop) -> None:
    rejects = shop.file.with_name("shop.csv.rejects.jsonl")
    told = {record["id"]: record for record in map(json.loads, rejects.read_text("utf-8").splitlines())}
    assert {key: (told[key]["line"], told[key]["reason"]) for key in told} == {
        "no-picture": (50, "not_found"),
        "no-price": (51, "wrong_type"),
    }
    shutil.copy(shop.file.parent / "pictures/black-ball.png", shop.file.parent / "pictures/none.png")
    told["no-price"]["record"]["price"] = "9,50"
    rejects.write_text("".join(json.dumps(record) + "\n" for record in told.values()), encoding="utf-8")
    done = json.loads(shop.run("retry", str(rejects), "--json").stdout.splitlines()[-1])
    assert (done["read"], done["indexed"], done["rejected"]) == (2, 2, 0)
    answer = shop.ask({"query": {"term": {"_id": "no-price"}}})
    assert answer["hits"]["hits"][0]["_source"]["price"] == 9.5
