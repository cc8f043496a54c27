"""What one product per group costs in nDCG, and how many distinct groups it gains, under every fusion.

    .venv/bin/python bench diversity [--queries 304] [--short]

Debian's openclipart with its groups of near-duplicates. Each fusion is searched as it is, collapsed by group,
and with k-NN's MMR. Nothing is timed. All near-duplicates of a relevant picture count as relevant, so nDCG
against all judgments is what a user loses who wants every variant. nDCG by group counts the first product of
each group alone, in the hits and among the judged: what a user gets who wants one of each.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import evaluate_demo
from measuring.interleaved import Table
from measuring.options import Options
from measuring.real_node import both

from mmsearch import Client
from mmsearch.api.evaluation import EvaluationReport, evaluate
from mmsearch.api.tuning import tune
from mmsearch.clients.opensearch import ask, connect
from mmsearch.config import cache_folder
from mmsearch.evaluation.judgments import Judgments
from mmsearch.evaluation.tuning.fusion import techniques
from mmsearch.search.bodies import search_body

DEPTH = 10
MMR = {"mmr": {"diversity": 0.5, "candidates": 30}}
FACTORIES = (
    "mmr_over_sample_factory",
    "mmr_rerank_factory",
    "mmsearch_hybrid_rewrite",
    "mmsearch_hybrid_fusion",
)
WAYS: Mapping[str, Mapping[str, Any]] = {
    "as it is": {},
    "collapsed": {"collapse": {"field": "group"}},
    "MMR": {"ext": MMR},
}


def bodies(fusions: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """A search body for each fusion and way."""
    found = {}
    for name, fusion in fusions.items():
        for way, more in WAYS.items():
            body = search_body("{{query}}", k=DEPTH, mode="hybrid")
            ((clause, hybrid),) = body["query"].items()
            query = {clause: {**hybrid, "fusion": dict(fusion)}}
            found[f"{name}, {way}"] = {**body, "query": query, "_source": ["title", "group"], **more}
    return found


def by_group(judged: Judgments, group: Mapping[str, str]) -> Judgments:
    """The judgments of groups instead of products."""
    found = Judgments(dict(judged.queries))
    for query, labels in judged.labels.items():
        found.labels[query] = {group[product]: label for product, label in labels.items()}
    return found


def grouped(products: Iterable[str], group: Mapping[str, str]) -> dict[str, float]:
    """A run of groups: each where its first product is."""
    found = dict.fromkeys(group[product] for product in products)
    return {name: float(DEPTH - rank) for rank, name in enumerate(found)}


def table_of(found: EvaluationReport, judged: Judgments, group: Mapping[str, str]) -> Table:
    """nDCG@10 of products and of groups, and distinct groups among the first ten, of each system."""
    table = Table("quality-diversity", "", {})
    runs = {
        run.name: {query: grouped(products, group) for query, products in run.products.items()}
        for run in found.study.runs
    }
    of_groups = evaluate(by_group(judged, group), runs, measures=[f"ndcg@{DEPTH}"]).means
    for name, means in found.means.items():
        distinct = [len(groups) for groups in runs[name].values()]
        table.figure(f"{name}: nDCG@10", round(next(iter(means.values())), 4), {}, exact=True)
        value = round(next(iter(of_groups[name].values())), 4)
        table.figure(f"{name}: nDCG@10 by group", value, {}, exact=True)
        table.figure(f"{name}: groups in ten", round(sum(distinct) / len(distinct), 3), {}, exact=True)
    return table


def main() -> int:
    parser = Options(__doc__)
    parser.short["queries"] = 40
    parser.add_argument("--queries", type=int, default=304)
    asked = parser.parse()
    with tempfile.TemporaryDirectory() as scratch, both() as servers:
        folder = evaluate_demo.write_openclipart(Path(scratch) / "openclipart", cache_folder(), asked.queries)
        catalog = folder / "catalog.jsonl"
        group = {
            product["id"]: str(product["group"])
            for product in map(json.loads, catalog.read_text(encoding="utf-8").splitlines())
        }
        with Client(servers.url, triton=servers.triton, index="bench-diversity") as shop:
            report = shop.ingest(catalog)
            if report.exit_code:
                raise RuntimeError(report.sentence())
            settings = {"transient": {"cluster.search.enabled_system_generated_factories": FACTORIES}}
            with connect(servers.url) as client:
                ask(client, "PUT", "/_cluster/settings", body=settings)
            judgments = folder / "judgments.jsonl"
            tuned = tune(judgments, client=shop, learn=True, classes=False).tuned
            fusions = {str(each): each.clause() for each in techniques()} | {"tuned": tuned.fusion.clause()}
            if tuned.learned_fusion:
                fusions["learned"] = tuned.learned_fusion.model.clause()
            found = evaluate(judgments, bodies(fusions), client=shop, measures=[f"ndcg@{DEPTH}"], depth=DEPTH)
    if found.problems:
        print(found.problems, file=sys.stderr)
        return 1
    table = table_of(found, found.study.judgments, group)
    table.note(
        f"{report.indexed} products in {len(set(group.values()))} groups, "
        f"{len(found.study.judgments.queries)} queries; MMR with a diversity of 0.5 among 30."
    )
    return 0 if table.finish() else 1
