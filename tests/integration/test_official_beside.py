"""Every command that searches, on a node that has the official plugins too: ml-commons and neural-search."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sample_data import drawn

from mmsearch.cli.main import cli
from mmsearch.stack import embedded
from mmsearch.stack.processes import myself
from mmsearch.stack.state import Home
from mmsearch.stack.variants import official

from ..conftest import TritonUnderTest
from ..fakes.asking import ask

pytestmark = [pytest.mark.integration, pytest.mark.slow]
INDEX = "products"
SHIPPED = Path(__file__).parents[2] / "opensearch"


@dataclass(frozen=True)
class Shop:
    """The drawn catalog of 48 products, ingested, and judgments: a colour and a shape name one product."""

    url: str
    triton_port: int
    environment: dict[str, str]
    catalog: Path
    judgments: Path
    ingested: str

    def run(self, *arguments: str, given: str | None = None) -> Result:
        done = CliRunner(env=self.environment).invoke(cli, list(arguments), input=given)
        assert done.exit_code == 0, done.output
        return done

    def ask(self, method: str, path: str, body: object = None) -> Any:
        return ask(self.url, method, path, body)


@pytest.fixture(scope="module")
def shop(
    triton: TritonUnderTest,
    tmp_path_factory: pytest.TempPathFactory,
    build_models: Callable[[Home], None],
) -> Iterator[Shop]:
    home = Home.at(tmp_path_factory.mktemp("official") / "home")
    triton_port = int(triton.http.rpartition(":")[2])
    wanted = embedded.Wanted(("opensearch",), 0, triton_port, while_alive=myself(), **official.wanted())
    try:
        (up,) = embedded.up(home, wanted, lambda _: None)
        for plugin in ("mmsearch", "opensearch-knn", *official.plugins()):
            assert f"{plugin} 3.6.0.0" in up.versions
        ports = home.ports()
        assert ports is not None
        url = f"http://127.0.0.1:{ports.http}"
        environment = {
            "MMSEARCH_OPENSEARCH": url,
            "MMSEARCH_TRITON": triton.grpc,
            "MMSEARCH_HOME": str(triton.home.folder),
        }
        folder = tmp_path_factory.mktemp("shop")
        catalog = drawn.write_catalog(folder)
        products = [json.loads(line) for line in catalog.read_text(encoding="utf-8").splitlines()]
        judgments = folder / "judgments.jsonl"
        lines = [
            {"query": product["title"].lower(), "product_id": product["id"], "label": "E"}
            for product in products
        ]
        judgments.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        done = CliRunner(env=environment).invoke(cli, ["ingest", str(catalog), "--json"])
        assert done.exit_code == 0, done.output
        yield Shop(url, triton_port, environment, catalog, judgments, done.stdout)
    finally:
        embedded.delete(home)


def test_the_official_names_are_the_other_plugins(shop: Shop) -> None:
    clause = {"neural": {"embedding": {"query_text": "ball", "like": {"_id": "red-ball"}}}}
    with pytest.raises(urllib.error.HTTPError) as refused:
        shop.ask("POST", f"/{INDEX}/_search", {"query": clause})
    # A key of ours, which the other plugin does not know.
    assert b"[neural] query does not support [like]" in refused.value.read()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (("red ball",), "red-ball"),
        (("red ball", "--mode", "neural"), "red-ball"),
        (("red ball", "--mode", "lexical"), "red-ball"),
        (("--like", "red-ball"), None),
        (("--image", "PICTURE"), "red-ball"),
    ],
)
def test_search(shop: Shop, asked: tuple[str, ...], found: str | None) -> None:
    picture = str(shop.catalog.parent / "pictures" / "red-ball.png")
    arguments = [picture if word == "PICTURE" else word for word in asked]
    hits = [json.loads(line) for line in shop.run("search", *arguments, "--json").stdout.splitlines()]
    assert len(hits) == 10
    if found is None:
        assert "red-ball" not in [hit["_id"] for hit in hits]
    else:
        assert hits[0]["_id"] == found
    if asked == ("red ball",):
        assert {leg["name"] for leg in hits[0]["fields"]["_legs"]} == {"lexical", "dense"}


def test_evaluate(shop: Shop) -> None:
    theirs = {"query": {"hybrid": {"queries": [{"match": {"title": "{{query}}"}}]}}}
    systems = ["lexical", "neural", "hybrid", f"theirs={json.dumps(theirs)}"]
    named = [word for system in systems for word in ("--system", system)]
    for way in ("msearch", "rank_eval"):
        # The other plugin's hybrid has no place in _rank_eval, which asks for hits by its own means.
        chosen = named if way == "msearch" else named[:-2]
        done = shop.run("evaluate", "--judgments", str(shop.judgments), *chosen, "--through", way, "--json")
        assert not done.stderr
        measures = {
            name: system["measures"]["recall(exact)@10"]
            for name, system in json.loads(done.stdout)["systems"].items()
        }
        assert list(measures) == ["lexical", "neural", "hybrid", "theirs"][: len(chosen) // 2]
        assert measures["hybrid"] == 1.0
        assert measures["neural"] > 0.9


def test_tune_prints_a_clause_that_evaluate_takes(shop: Shop, tmp_path: Path) -> None:
    out = tmp_path / "tuned.json"
    done = shop.run("tune", "--judgments", str(shop.judgments), "--out", str(out), "--json")
    assert list(json.loads(done.stdout)["clause"]) == ["mmsearch_hybrid"]
    tuned = shop.run("evaluate", "--judgments", str(shop.judgments), "--system", f"tuned={out}", "--json")
    assert not tuned.stderr
    assert json.loads(tuned.stdout)["systems"]["tuned"]["measures"]["recall(exact)@10"] == 1.0


def test_ui(shop: Shop) -> None:
    program = [str(Path(sys.executable).with_name("mmsearch")), "ui", "--port", "0"]
    page = subprocess.Popen(
        [*program, "--image-root", str(shop.catalog.parent), "--opensearch", shop.url],
        stdout=subprocess.PIPE, text=True,
        # A suite that runs in the background ignores it, and so would the page.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert page.stdout is not None
    try:
        address = page.stdout.readline().split()[0]
        form = {"text": "red ball", "compare": "on", "a_mode": "hybrid", "b_mode": "neural", "k": "5"}
        data = urllib.parse.urlencode(form).encode()
        with urllib.request.urlopen(f"{address}search", data, timeout=60) as answer:
            html = answer.read().decode()
        assert html.count("1. Red ball") == 2
        assert "expected" not in html
    finally:
        page.send_signal(signal.SIGINT)
        page.wait(20)
        page.stdout.close()


def test_dashboards(shop: Shop, tmp_path: Path) -> None:
    shop.run("search", "red ball", "--log")
    logged = shop.run("dashboards", "log", "--summary", "-", "--encoder", given=shop.ingested)
    assert " documents in mmsearch-log" in logged.stdout
    shop.ask("POST", "/mmsearch-log/_refresh")
    kinds = {"aggs": {"kinds": {"terms": {"field": "kind"}}}, "size": 0}
    found = shop.ask("POST", "/mmsearch-log/_search", kinds)["aggregations"]["kinds"]["buckets"]
    counts = {bucket["key"]: bucket["doc_count"] for bucket in found}
    assert (counts["query"], counts["leg"], counts["ingest"]) == (1, 2, 1)
    assert set(counts) == {"query", "leg", "ingest", "encoder"}
    objects = tmp_path / "inspection.ndjson"
    assert f"objects: {objects}" in shop.run("dashboards", "export", str(objects)).stdout


def test_pairs_and_reindex(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"query": "red ball", "product_id": "red-ball"}\n')
    files = [str(tmp_path / "pairs.jsonl"), "--catalog", str(shop.catalog)]
    shop.run("pairs", *files, "--no-bm25", "--index", INDEX, "--out", str(tmp_path / "hard.jsonl"))
    (pair,) = (json.loads(line) for line in (tmp_path / "hard.jsonl").read_text().splitlines())
    assert len(pair["negatives"]) == 3
    again = shop.run("reindex", str(shop.catalog), "--index", INDEX, "--keep", "--json")
    assert json.loads(again.stdout.splitlines()[-1])["overlap"] == 1.0


def test_the_shipped_connector_gives_the_official_clause_our_encoder(shop: Shop) -> None:
    """What docs/migration.md tells those who stay on the official plugins."""
    connector = json.loads((SHIPPED / "ml_commons_connector.json").read_text(encoding="utf-8"))
    connector["parameters"]["endpoint"] = f"127.0.0.1:{shop.triton_port}"
    model = official.remote_model(shop.url, connector)
    asked = {"query_text": "red ball", "k": 5}
    theirs, ours = (
        shop.ask("POST", f"/{INDEX}/_search", {"size": 5, "query": {name: {"embedding": clause}}})
        for name, clause in (("neural", {**asked, "model_id": model}), ("mmsearch_neural", asked))
    )
    assert [hit["_id"] for hit in theirs["hits"]["hits"]] == [hit["_id"] for hit in ours["hits"]["hits"]]
    assert theirs["hits"]["max_score"] == pytest.approx(ours["hits"]["max_score"], abs=1e-4)
