"""Feeds of platforms on a real node and a real encoder: variants, levels of categories, groups."""

# ruff: noqa: E501 - rows are as they are

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from mmsearch.cli.main import cli
from mmsearch.clients.opensearch import ask, connect
from mmsearch.evaluation.tuning.fusion import techniques
from mmsearch.search.bodies import search_body

pytestmark = pytest.mark.integration
Run = Callable[..., Result]


@pytest.fixture
def run(stack: Any) -> Iterator[Run]:
    """A command over an index; without a code it succeeds."""

    def ran(index: str, *arguments: str, code: int = 0) -> Result:
        environment = {**stack.environment, "MMSEARCH_INDEX": index}
        done = CliRunner(env=environment).invoke(cli, list(arguments))
        assert done.exit_code == code, done.output
        return done

    yield ran
    client = connect(stack.opensearch.url)
    for index in ("feed-shopify", "feed-google"):
        ask(client, "DELETE", f"/{index}-000001", params={"ignore_unavailable": "true"})
    client.close()


def hits(run: Run, index: str, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(index, "search", *arguments, "--json").stdout.splitlines()]


def test_a_shopify_export_needs_no_option(run: Run, tmp_path: Path) -> None:
    for name in ("red", "blue"):
        Image.new("RGB", (16, 16), name).save(tmp_path / f"{name} one.png")
    header = "Handle,Title,Body (HTML),Vendor,Product Category,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src"
    (tmp_path / "export.csv").write_text(
        f"{header}\n"
        "hoodie,Wool hoodie,<p>Warm &amp; soft</p>,Nord,Clothing > Hoodies,Colour,Red,H-R,59.00,/red%20one.png?v=1\n"
        "hoodie,,,,,,Blue,H-B,49.50,blue one.png\n"
        "mug,Stone mug,,Nord,Kitchen > Mugs,Title,Default Title,M,9,\n"
    )
    done = run("feed-shopify", "ingest", str(tmp_path / "export.csv"), "--processes", "0")
    assert "is read as a feed of Shopify" in done.stderr
    assert "3 rows are 2 products with variants" in done.stderr
    (hoodie,) = hits(run, "feed-shopify", "hoodie", "--mode", "lexical")
    assert (hoodie["_id"], hoodie["_source"]["price"]) == ("hoodie", 49.5)
    assert hoodie["_source"]["image"] == ["/red%20one.png?v=1", "blue one.png"]
    for level, found in (("Clothing", ["hoodie"]), ("Kitchen>Mugs", ["mug"]), ("Mugs", [])):
        named = hits(run, "feed-shopify", "nord", "--mode", "hybrid", "--filter", f"category={level}")
        assert [each["_id"] for each in named] == found


@pytest.mark.parametrize("mode", ["lexical", "neural", "hybrid"])
def test_variants_are_collapsed_by_their_group(run: Run, tmp_path: Path, mode: str) -> None:
    header = ("id", "title", "description", "link", "image_link", "availability", "price", "item_group_id")
    rows = [
        (f"h{n}", "Wool hoodie", f"Size {n}", "https://g.test", "", "in_stock", f"{n}.00 EUR", "h")
        for n in range(8)
    ]
    rows += [
        (f"s{n}", f"Hoodie {n}", "Another", "https://g.test", "", "in_stock", "5 EUR", "") for n in range(3)
    ]
    text = "\n".join("\t".join(row) for row in [header, *rows])
    (tmp_path / "google.tsv").write_text(text + "\n")
    run("feed-google", "ingest", str(tmp_path / "google.tsv"), "--processes", "0")
    every = hits(run, "feed-google", "wool hoodie", "--mode", mode, "-k", "11")
    assert len(every) == 11
    collapsed = hits(run, "feed-google", "wool hoodie", "--mode", mode, "--collapse", "group")
    assert len(collapsed) == 4
    assert sorted(each["_id"][0] for each in collapsed) == ["h", "s", "s", "s"]
    assert collapsed[0]["_id"] == every[0]["_id"]
    # The report's searches too, and every fusion.
    systems = {mode: mode}
    if mode == "hybrid":
        body = search_body("wool hoodie", k=10, mode=mode)
        for fusion in techniques():
            body["query"]["hybrid"]["fusion"] = fusion.clause()
            systems[f"fusion{len(systems)}"] = json.dumps(body)
    (tmp_path / "j.jsonl").write_text('{"query": "wool hoodie", "product_id": "h0", "label": "E"}\n')
    asked = [word for name, system in systems.items() for word in ("--system", f"{name}={system}")]
    asked += ["--collapse", "group", "--runs-out", str(tmp_path / "runs")]
    run("feed-google", "evaluate", "--judgments", str(tmp_path / "j.jsonl"), *asked)
    (tmp_path / "other.jsonl").write_text('{"query": "wool hoodie", "product_id": "x0", "label": "E"}\n')
    other = run("feed-google", "evaluate", "--judgments", str(tmp_path / "other.jsonl"), *asked, code=1)
    assert "while the judgments are of 'x0'; use the product ids of the index" in other.stderr
    for name, system in systems.items():
        found = [line.split()[2] for line in (tmp_path / "runs" / f"{name}.run").read_text().splitlines()]
        assert sorted(each[0] for each in found) == ["h", "s", "s", "s"], system
    cheap = hits(run, "feed-google", "wool hoodie", "--mode", mode, "--filter", "currency=EUR", "-k", "11")
    assert len(cheap) == 11
    failed = run("feed-google", "search", "hoodie", "--mode", mode, "--collapse", "colour", code=1)
    assert "expected feed-google to have the field to collapse on" in failed.stderr
