"""The documentation's commands and bodies on the real servers: each block as the page has it, in order."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from mmsearch.cli.main import cli

from ..fakes import docs_shop
from ..unit.test_docs import ALL, JSON, Block, blocks, name

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
PAGES = ("quickstart", "query-examples", "operations", "sizing", "migration")
WITHIN = 0.05
"""of a score: the encoder's 8 bits are rounded in other ways by other processors"""
EXAMPLES = [block for block in JSON if block.page == "query-examples"]
REQUESTS = [block for block in JSON if block.page != "query-examples" and json.loads(block.text).get("query")]


@dataclass(frozen=True)
class World:
    """A folder with what the pages name, and the servers, whose addresses the pages do not know."""

    folder: Path
    url: str
    environment: dict[str, str]

    def run(self, line: str, code: int = 0) -> None:
        """Run one line of a block; fails with what it printed."""
        words = shlex.split(line)
        if words[0] == "mmsearch":
            done = CliRunner(env=self.environment).invoke(cli, words[1:])
            assert done.exit_code == code, f"{line}\n{done.output}"
            return
        if words == ["make", "demo"]:
            words = [str(ROOT / "examples" / "demo.sh")]
        else:
            assert words[0] == "curl", f"expected mmsearch, curl or make demo, got: {line}"
            there = self.url.removeprefix("http://")
            words = ["curl", "-sS", "--fail-with-body", *words[1:]]
            words = [word.replace("localhost:9200", there) for word in words]
        environment = {**os.environ, **self.environment}
        ran = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=900)
        assert ran.returncode == code, f"{line}\n{ran.stdout}{ran.stderr}"

    def ask(self, method: str, path: str, body: str | None = None) -> Any:
        data = body.replace(docs_shop.PICTURE, docs_shop.picture(self.folder)).encode() if body else None
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def world(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """After every block of PAGES was run; `products` and `shop` hold the quick start's catalog."""
    folder = tmp_path_factory.mktemp("docs")
    docs_shop.write(folder)
    shutil.copytree(ROOT / "opensearch", folder / "opensearch")
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    this = World(folder, stack.opensearch.url, {**stack.environment, "PATH": path})
    with (folder / "export.jsonl").open("w", encoding="utf-8") as file:
        file.write(
            '{"_id": "M1", "name": "Garden bench", "image_url": null}\n'
            '{"_id": "M2", "name": "Parasol", "colour": "red"}\n'
        )
    before = Path.cwd()
    os.chdir(folder)
    try:
        for block in (block for page in PAGES for block in blocks(page) if block.mark == "needs servers"):
            run(this, block)
        yield this
    finally:
        os.chdir(before)
        for index in this.ask("GET", "/_cat/indices/products-0*,shop-0*?format=json"):
            this.ask("DELETE", f"/{index['index']}")
        this.ask("DELETE", "/_index_template/products*")


def run(world: World, block: Block) -> None:
    for line in block.lines:
        if line.startswith("mmsearch retry"):
            docs_shop.fix(world.folder)
        # The quick start's catalog has one picture that is missing, so that there is something to fix.
        first = line.startswith("mmsearch ingest shop.csv") and "--vectors" not in line
        world.run(line, code=3 if first else 0)


def test_what_was_mended_is_in(world: World) -> None:
    assert not (world.folder / "shop.csv.rejects.jsonl").exists()
    found = world.ask("GET", "/products/_doc/A8")["_source"]
    assert (found["title"], found["price"]) == ("Gift card", 50.0)


@pytest.mark.parametrize("block", REQUESTS, ids=name)
def test_each_body_is_answered(block: Block, world: World) -> None:
    answer = world.ask("POST", "/products/_search", block.text)
    assert answer["_shards"]["failed"] == 0
    assert answer["hits"]["hits"], block.text


@pytest.mark.parametrize(
    ("request_", "answer"), list(zip(EXAMPLES[::2], EXAMPLES[1::2], strict=True)), ids=name
)
def test_each_example_has_the_answer_that_the_page_shows(
    request_: Block, answer: Block, world: World
) -> None:
    found = world.ask("POST", "/shop/_search", request_.text)
    for hit in found["hits"]["hits"]:
        hit["matched_queries"] = sorted(hit.get("matched_queries", ()))
    holds(found, json.loads(answer.text), "answer")


def in_order_of(shown: list[Any], found: list[Any]) -> list[Any]:
    """The hits found, in the order of those shown where all their scores are as near as the rounding moves
    them."""
    scores = [hit["_score"] for hit in found if hit.get("_score") is not None]
    ids = [hit.get("_id") for hit in shown]
    if len(scores) < len(found) or max(scores, default=0) - min(scores, default=0) > WITHIN:
        return found
    return sorted(found, key=lambda hit: ids.index(hit["_id"]) if hit["_id"] in ids else len(ids))


def holds(found: Any, shown: Any, where: str) -> None:
    """Everything that is shown is found, lists whole; fails naming the place that differs."""
    if isinstance(shown, dict):
        for key, value in shown.items():
            assert key in found, f"{where}.{key}"
            holds(found[key], value, f"{where}.{key}")
    elif isinstance(shown, list):
        assert len(found) == len(shown), where
        if where.endswith(".hits.hits"):
            found = in_order_of(shown, found)
        for at, (one, other) in enumerate(zip(found, shown, strict=True)):
            holds(one, other, f"{where}[{at}]")
    elif isinstance(shown, float):
        # What is made of differences of scores moves further than they do.
        within = 4 * WITHIN if where.endswith("normalized") or "_legs" not in where else WITHIN
        assert found == pytest.approx(shown, abs=within), where
    elif where.endswith(".rank"):
        # Neighbours whose scores are as near as that may change places.
        assert abs(found - shown) <= 1, where
    else:
        assert found == shown, where


def test_every_key_of_the_reference_has_an_example() -> None:
    examples = "\n".join(block.text for block in EXAMPLES)
    reference = (docs_shop.DOCS / "query.md").read_text(encoding="utf-8")
    rows = [line for line in reference.splitlines() if line.startswith("| `")]
    keys = {key for line in rows for key in line.split("|")[1].replace("`", "").replace(" ", "").split(",")}
    tables = {"query_text", "like", "queries", "pagination_depth"}
    assert tables <= keys
    named = {key for key in keys if key.replace("_", "").isalpha() and key.islower()}
    missing = {key for key in named if f'"{key}"' not in examples} - NO_KEYS
    assert not missing


NO_KEYS = {"arithmetic_mean", "harmonic_mean", "learned", "theoretical_min_max"} | {
    *(
        "match",
        "term",
        "terms",
        "bool",
        "dis_max",
        "multi_match",
        "cross_fields",
        "constant_score",
        "match_all",
    ),
    *("exists", "neural", "knn", "ranges", "prefixes", "query_string"),
}
"""rows of the reference that are values or queries and not keys, and stand in no example"""


def test_all_pages_blocks_have_an_owner() -> None:
    """What needs servers stands on a page that is run here."""
    assert {block.page for block in ALL if block.mark == "needs servers"} <= set(PAGES)


JUDGED = {"oak chair": "A1", "desk lamp": "A2", "dining table": "A4", "floor lamp": "A5", "house plant": "A7"}


def evaluation(world: World) -> None:
    """What the page on evaluation names, made again: judgments, another index, a body, a run."""
    lines = [
        json.dumps({"query": query, "product_id": product, "label": "E", "purchases": 2})
        for query, product in JUDGED.items()
    ]
    (world.folder / "judgments.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    body = '{"size": "{{k}}", "query": {"match": {"title": "{{query}}"}}}'
    (world.folder / "body.json").write_text(body, encoding="utf-8")
    run_ = [f"{query.replace(' ', '%20')} Q0 {product} 1 1.0 new\n" for query, product in JUDGED.items()]
    (world.folder / "new.run").write_text("".join(run_), encoding="utf-8")
    shopping_queries(world.folder)


def shopping_queries(folder: Path) -> None:
    """Rows of the Shopping Queries Dataset by its published columns, and SQID's table of image addresses."""
    products = {
        "product_id": ["B1", "B2"],
        "product_title": ["Oak chair", "Desk lamp"],
        "product_brand": ["A", "B"],
    }
    examples = {
        "example_id": [1, 2, 3],
        "query": ["oak chair", "oak chair", "desk lamp"],
        "query_id": [7, 7, 8],
        "product_id": ["B1", "B2", "B2"],
        "product_locale": ["us"] * 3,
        "esci_label": ["E", "I", "E"],
        "small_version": [1] * 3,
        "large_version": [1] * 3,
        "split": ["test"] * 3,
    }
    for kind, columns in (("products", products | {"product_locale": ["us"] * 2}), ("examples", examples)):
        table = pa.table(columns)
        pq.write_table(table, folder / f"shopping_queries_dataset_{kind}.parquet")
    # In place of an address, which would be fetched.
    image = f'"data:image/png;base64,{docs_shop.picture(folder)}"'
    (folder / "product_image_urls.csv").write_text(f"product_id,image_url\nB1,{image}\n", encoding="utf-8")


def test_the_page_on_evaluation_runs_as_it_stands(world: World) -> None:
    world.ask("PUT", "/shop-000001/_alias/products-old")
    there = World(world.folder, world.url, {**world.environment, "MMSEARCH_INDEX": "shop"})
    evaluation(there)
    there.run("mmsearch judgments to-events judgments.jsonl events-before/")
    for name_ in ("ubi_queries", "ubi_events"):
        documents = (world.folder / "events-before" / f"{name_}.ndjson").read_text("utf-8").splitlines()
        for document in documents:
            world.ask("POST", f"/{name_}/_doc?refresh=true", document)
    ran = 0
    try:
        for block in (block for block in blocks("evaluation") if block.language == "console"):
            for line in block.lines:
                evaluation(there)
                if "convert list.json" in line:
                    there.run('mmsearch judgments convert judgments.jsonl list.json --name "Spring"')
                there.run(line)
                ran += 1
    finally:
        world.ask("DELETE", "/ubi_queries,ubi_events")
    assert ran >= 7
    for made in ("judgments.qrels", "list.json", "events/ubi_events.ndjson", "report.html", "tuned.json"):
        assert (world.folder / made).stat().st_size, made
