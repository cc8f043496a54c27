"""Three programs read one qrels file and one run, each by its own reader where it has one, and measure."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import ir_measures
import pytrec_eval
import ranx

GIVEN: dict[str, Any] = json.load(sys.stdin)
QRELS, RUN = Path(GIVEN["qrels"]), Path(GIVEN["run"])


def by_trec_eval() -> dict[str, dict[str, float]]:
    with QRELS.open(encoding="utf-8") as qrels, RUN.open(encoding="utf-8") as run:
        judged, found = pytrec_eval.parse_qrel(qrels), pytrec_eval.parse_run(run)
    names = {"ndcg_cut_10": "ndcg", "recip_rank": "mrr", "recall_10": "recall"}
    values = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut.10", "recip_rank", "recall.10"}).evaluate(
        found
    )
    return {query: {ours: of[theirs] for theirs, ours in names.items()} for query, of in values.items()}


def by_ir_measures() -> dict[str, dict[str, float]]:
    names = {ir_measures.nDCG @ 10: "ndcg", ir_measures.RR: "mrr", ir_measures.R @ 10: "recall"}
    judged, found = list(ir_measures.read_trec_qrels(str(QRELS))), list(ir_measures.read_trec_run(str(RUN)))
    values: dict[str, dict[str, float]] = {}
    for each in ir_measures.iter_calc(list(names), judged, found):
        values.setdefault(each.query_id, {})[names[each.measure]] = each.value
    return values


def by_ranx() -> dict[str, dict[str, float]]:
    names = {"ndcg@10": "ndcg", "mrr": "mrr", "recall@10": "recall"}
    judged, found = ranx.Qrels.from_file(str(QRELS), kind="trec"), ranx.Run.from_file(str(RUN), kind="trec")
    ranx.evaluate(judged, found, list(names))
    values: dict[str, dict[str, float]] = {}
    for theirs, ours in names.items():
        for query, value in found.scores[theirs].items():
            values.setdefault(query, {})[ours] = float(value)
    return values


json.dump({"trec_eval": by_trec_eval(), "ir_measures": by_ir_measures(), "ranx": by_ranx()}, sys.stdout)
