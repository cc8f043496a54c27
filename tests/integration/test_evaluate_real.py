"""Evaluation on the real node and encoder: live systems, the same numbers everywhere, tuning that the plugin
keeps."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sample_data import drawn

from mmsearch.cli.main import cli
from mmsearch.cli.ui import record, search
from mmsearch.clients.opensearch import ask, connect
from mmsearch.evaluation.exchange.judged_file import read_judgments
from mmsearch.evaluation.gather import gather, known_bodies
from mmsearch.evaluation.judgments import Judgments
from mmsearch.evaluation.live import Answers
from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.systems import read_system
from mmsearch.evaluation.templates import Template
from mmsearch.evaluation.tuning.clause import hybrid
from mmsearch.evaluation.tuning.fusion import techniques
from mmsearch.evaluation.tuning.learned_model import LearnedModel, fuse
from mmsearch.evaluation.tuning.live_ranges import run_of, wrapped
from mmsearch.evaluation.tuning.tune import fused_run
from mmsearch.evaluation.ui.app import Asked
from mmsearch.search import dashboards, query_log
from mmsearch.search.bodies import search_body
from mmsearch.search.clauses import ALONE

pytestmark = pytest.mark.integration
INDEX = "evaluate-real"


@dataclass(frozen=True)
class Shop:
    """The drawn catalog, ingested, with judgments: the colour asked for is exact, its shapes' others
    irrelevant."""

    url: str
    environment: dict[str, str]
    folder: Path
    summary: str

    def run(self, *arguments: str, given: str | None = None) -> Result:
        result = CliRunner(env=self.environment).invoke(cli, list(arguments), input=given)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result


@pytest.fixture(scope="module")
def shop(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    catalog = drawn.write_catalog(tmp_path_factory.mktemp("drawn"))
    products = [json.loads(line) for line in catalog.read_text(encoding="utf-8").splitlines()]
    # What Dashboards shows of products: a price, a brand, and a picture that could not be used.
    products[0] |= {"price": 9.5, "brand": "Acme"}
    products.append({"id": "lost", "title": "Lost ball", "image": "pictures/none.png"})
    lines = [json.dumps(product) for product in products]
    catalog.write_text("\n".join(lines) + "\n", encoding="utf-8")
    pairs = [
        {"query": query, **picture, "product_id": product["id"], "label": label, "colour": colour}
        for colour in ("red", "blue", "green", "black")
        for query, picture in (
            (f"{colour} toy", {}),
            ("like this", {"query_image": f"pictures/{colour}-ball.png"}),
        )
        for product in products
        if (label := _label(product, colour))
    ]
    alone = {"query_image": "pictures/red-box.png", "product_id": "red-box", "label": "E", "colour": "red"}
    pairs.append(alone)
    judgments = "".join(json.dumps(pair) + "\n" for pair in pairs)
    (catalog.parent / "judgments.jsonl").write_text(judgments, encoding="utf-8")
    shop = Shop(stack.opensearch.url, {**stack.environment, "MMSEARCH_INDEX": INDEX}, catalog.parent, "")
    vectors = ["--vectors", "embedding,text_embedding"]
    ingested = shop.run("ingest", str(catalog), "--on-bad-image", "text-only", "--json", *vectors)
    assert ingested.exit_code == 0, ingested.output
    return Shop(shop.url, shop.environment, shop.folder, ingested.stdout.splitlines()[-1])


def _label(product: dict[str, Any], colour: str) -> str:
    if product.get("colour") == colour:
        return "E"
    return "I" if product.get("category") == "ball" else ""


class Tables(HTMLParser):
    """The text of every row of the report's tables, by the label of the region that the table stands in."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self._region, self._cell = "", False
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        about = dict(attributes)
        if about.get("role") == "region":
            self._region = (about["aria-label"] or "").split(" by ")[0]
        if tag == "tr":
            self.rows.setdefault(self._region, []).append([])
        if tag in ("td", "th") and self._region in self.rows:
            self._cell = True
            # A measure's row is named by its measure.
            self.rows[self._region][-1].append(f"{about['title']} " if "title" in about else "")

    def handle_data(self, data: str) -> None:
        if self._cell and data.strip():
            self.rows[self._region][-1][-1] += data.strip() + " "

    def handle_endtag(self, tag: str) -> None:
        self._cell = self._cell and tag not in ("td", "th")


SYSTEMS = ("bm25=lexical", "text", "fused=neural", "hybrid")


def test_live_systems_give_one_set_of_numbers(shop: Shop) -> None:
    judgments, report = shop.folder / "judgments.jsonl", shop.folder / "report.html"
    tuned = shop.folder / "tuned.json"
    legs = ["--leg", "bm25=lexical", "--leg", "fused=neural", "--out", str(tuned), "--folds", "3", "--json"]
    found = json.loads(shop.run("tune", "--judgments", str(judgments), *legs).stdout)
    rrf = json.loads(tuned.read_text(encoding="utf-8"))
    rrf["query"]["hybrid"]["fusion"] = {"combination": {"technique": "rrf"}}
    systems = [*SYSTEMS, f"tuned={tuned}", f"rrf={json.dumps(rrf)}"]
    options = [part for system in systems for part in ("--system", system)]
    runs = shop.folder / "runs"
    outputs = ["--report", str(report), "--runs-out", str(runs), "--json"]
    result = shop.run("evaluate", "--judgments", str(judgments), *options, *outputs)
    assert result.exit_code == 0, result.output
    numbers = json.loads(result.stdout)

    assert numbers["queries"] == 9
    assert list(numbers["systems"]) == ["bm25", "text", "fused", "hybrid", "tuned", "rrf"]
    problems = {name: len(system["problems"]) for name, system in numbers["systems"].items()}
    # The query that is a picture alone: words are all that BM25 and the text vectors can be asked with.
    assert problems == {"bm25": 1, "text": 1, "fused": 0, "hybrid": 0, "tuned": 0, "rrf": 0}
    html = report.read_text(encoding="utf-8")
    tables = Tables(html).rows
    summary = {row[0].split()[0]: row[1:] for row in tables["Summary table"]}
    for number, system in enumerate(numbers["systems"].values()):
        for name, mean in system["measures"].items():
            assert summary[name][number].split()[0].startswith(f"{mean:.3f}"), name
    for each in numbers["comparisons"]:
        cell = f"{each['difference']:+.3f} [{each['low']:+.3f}, {each['high']:+.3f}]"
        assert cell in summary[each["measure"]][list(numbers["systems"]).index(each["name"])]
    assert [row[2:5] for row in tables["Exclusive matches"][1:]] == [
        [f"{each['per_query']:.2f} ", f"{each['relevant_per_query']:.3f} ", f"{each['recall']:.3f} "]
        for each in numbers["exclusive"]
    ]
    sliced = [name for by in numbers["slices"] if by != "measure" for name in numbers["slices"][by].items()]
    assert [row[2:] for row in tables["Slices"] if row[1] != "queries "] == [
        [f"{mean:.3f} " for mean in about["means"].values()] for _, about in sliced
    ]
    assert html.count("data:image/webp;base64,") > 50
    # The same answers, read back from the runs that were written, give the same numbers.
    again = [part for name in numbers["systems"] for part in ("--system", f"{name}={runs / name}.run")]
    offline = json.loads(shop.run("evaluate", "--judgments", str(judgments), *again, "--json").stdout)
    for name, system in numbers["systems"].items():
        assert offline["systems"][name]["measures"] == pytest.approx(system["measures"])
    assert found["legs"]["bm25"] == pytest.approx(numbers["systems"]["bm25"]["measures"]["ndcg(esci)@10"])


def asked(
    shop: Shop, systems: list[Template | Run], judged: Judgments, depth: int, *through: str
) -> tuple[list[Run], dict[str, Answers]]:
    with closing(connect(shop.url)) as client:
        return gather(systems, judged, shop.folder, client, INDEX, depth, *through)


def test_what_is_fused_offline_is_what_the_plugin_fuses(shop: Shop) -> None:
    judged = read_judgments(shop.folder / "judgments.jsonl")
    legs = [read_system(name, known_bodies(100)) for name in ("bm25=lexical", "text", "fused=neural")]
    ranged = [wrapped(leg, 100, ALONE) for leg in legs if isinstance(leg, Template)]
    _, evidence = asked(shop, [*ranged], judged, 100)
    runs = [run_of(evidence[leg.name]) for leg in legs]
    assert all(run.ranges[query].keys() == run.scores[query].keys() for run in runs for query in run.scores)
    fusions = [technique.weighed(weights) for technique in techniques() for weights in ((), (0.2, 0.3, 0.5))]
    live: list[Template | Run] = [
        Template(str(number), {"query": hybrid(legs, fusion, 100)}) for number, fusion in enumerate(fusions)
    ]
    words = judged.restricted(query for query, about in judged.queries.items() if not about.image)
    answered, _ = asked(shop, live, words, 100)
    for fusion, run in zip(fusions, answered, strict=True):
        expected = fused_run("offline", runs, fusion)
        assert not run.problems
        for query in words.queries:
            # Ties are settled by the engine's own order, so scores are compared by product. Both start from
            # float32 scores of about 1, whose steps of 1e-7 the normalisation stretches.
            close = pytest.approx(expected.scores[query], rel=1e-5, abs=2e-6)
            assert run.scores[query] == close, (str(fusion), query)


def test_a_learned_fusion_offline_is_what_the_plugin_computes(shop: Shop) -> None:
    judged = read_judgments(shop.folder / "judgments.jsonl")
    legs = [read_system(name, known_bodies(100)) for name in ("bm25=lexical", "text", "fused=neural")]
    coefficients = (0.5, 1.0, 12.0, 0.05, -0.3, 0.7, 4.0, 1.5, 0.1, 1.2, 8.0, 0.5, 0.4, -0.6, 0.9)
    model = LearnedModel(3, -2.5, coefficients)
    clause = hybrid(legs, model, 100)
    words = judged.restricted(query for query, about in judged.queries.items() if not about.image)
    runs, _ = asked(shop, legs, words, 100)
    (answered,), _ = asked(shop, [Template("learned", {"query": clause})], words, 100)
    assert not answered.problems
    for query in words.queries:
        lists = [{product: run.scores[query][product] for product in run.top(query, 100)} for run in runs]
        assert answered.scores[query] == pytest.approx(fuse(lists, model), rel=1e-4, abs=2e-6)
    body = Template("one", {"query": clause, "explain": True, "size": 1}).filled("red toy", None, 1)
    with closing(connect(shop.url)) as client:
        (hit,) = ask(client, "POST", f"/{INDEX}/_search", body=body)["hits"]["hits"]
    found = [leg["log_odds"] for leg in hit["fields"]["_legs"]]
    rest = hit["_explanation"]["details"][-1]
    assert "log odds of the intercept" in rest["description"]
    assert 1 / (1 + math.exp(-sum(found) - rest["value"])) == pytest.approx(hit["_score"], abs=1e-5)


def test_rank_eval_answers_what_msearch_answers(shop: Shop) -> None:
    judged = read_judgments(shop.folder / "judgments.jsonl")
    systems = [read_system(name, known_bodies(20)) for name in ("lexical", "neural", "hybrid")]
    _, many = asked(shop, systems, judged, 20)
    _, ranked = asked(shop, systems, judged, 20, "rank_eval")
    for name, answered in many.items():
        assert ranked[name].hits.keys() == answered.hits.keys()
        for query, expected in answered.hits.items():
            scores, got = ({h.id: h.score for h in hits} for hits in (expected, ranked[name].hits[query]))
            shared = scores.keys() & got.keys()
            # What an input is batched with moves its scores by rounding, and neighbours may change places.
            assert len(shared) >= 0.8 * len(scores)
            if name != "hybrid":
                assert all(abs(scores[product] - got[product]) < 0.02 for product in shared)
            assert all(hit.source["title"] for hit in ranked[name].hits[query])
        assert ranked[name].problems == answered.problems
        assert not ranked[name].took
    assert any(hit.legs for hits in ranked["hybrid"].hits.values() for hit in hits)


def test_a_gate_on_the_live_index_fails_the_build(shop: Shop) -> None:
    judgments = str(shop.folder / "judgments.jsonl")
    options = ["--judgments", judgments, "--system", "text", "--system", "fused=neural"]
    passed = shop.run("evaluate", *options, "--gate", "recall@10 >= 0.0")
    assert passed.exit_code == 0
    failed = shop.run("evaluate", *options, "--gate", "recall@10 > baseline * 9")
    assert failed.exit_code == 3
    assert "FAILED: recall@10 > baseline * 9 for fused" in failed.stderr


def test_every_field_that_dashboards_read_is_filled(shop: Shop) -> None:
    client = connect(shop.url)
    try:
        asked = shop.run("search", "red ball", "--log")
        assert asked.exit_code == 0, asked.output
        body = search_body("zzzz", mode="lexical")
        record(client, INDEX, Asked("zzzz", "", "", "lexical", 0.5, {}, 10), search(client, INDEX, body))
        skipped = {"mmsearch": {"degraded": [{"leg": "dense", "reason": "x"}]}}
        degraded = {"took": 1, "hits": {"hits": []}, "ext": skipped}
        query_log.write(
            client, query_log.of_search(degraded, query="down", modality="text", mode="hybrid", index=INDEX)
        )
        rejects = shop.folder / "rejects.jsonl"
        rejects.write_text('{"line": 1, "stage": "image", "reason": "not_found"}\n', encoding="utf-8")
        logged = shop.run(
            "dashboards", "log", "--summary", "-", "--rejects", str(rejects), "--encoder", given=shop.summary
        )
        assert logged.exit_code == 0, logged.output

        indexes = {"mmsearch-log": query_log.INDEX, "mmsearch-products": INDEX}
        for view, names in dashboards.fields_used(dashboards.objects()).items():
            documents = [hit["_source"] for hit in _all(client, indexes[view])]
            empty = {name for name in names if not any(_has(document, name) for document in documents)}
            assert not empty, view
    finally:
        client.close()


def _all(client: Any, index: str) -> list[dict[str, Any]]:
    ask(client, "POST", f"/{index}/_refresh")
    hits: list[dict[str, Any]] = ask(client, "POST", f"/{index}/_search", body={"size": 1000})["hits"]["hits"]
    return hits


def _has(document: Mapping[str, Any], name: str) -> bool:
    value: Any = document
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value is not None and value != []


def test_a_page_of_hits_stands_alone(shop: Shop) -> None:
    page = shop.folder / "hits.html"
    result = shop.run("search", "red ball", "--html", str(page), "--image-root", str(shop.folder), "-k", "5")
    assert result.exit_code == 0, result.output
    html = page.read_text(encoding="utf-8")
    assert html.count("data:image/webp;base64,") >= 4
    assert "lexical #" in html
    assert "file://" not in html
