"""A run and qrels in TREC form give the same values in trec_eval, ir_measures, ranx and here."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mmsearch.evaluation.exchange import trec
from mmsearch.evaluation.judgments import Judgments, Query
from mmsearch.evaluation.measures import parse, score
from mmsearch.evaluation.runs import Run

from . import installed

pytestmark = [pytest.mark.slow, pytest.mark.foreign]
MEASURES = {"ndcg": "ndcg(grade)@10", "mrr": "mrr(grade)", "recall": "recall(grade)@10"}


def drawn() -> tuple[Judgments, Run]:
    """Sixty queries with ids of every kind, ties, and scores that differ past 32 bits only."""
    generator = random.Random(5)
    judgments, scores = Judgments(), {}
    for number in range(60):
        query = Query(
            generator.choice(['50% off "Möbel" ', "plain-", "a b ", "%20-", "日本語"]) + str(number)
        )
        products = [f"{generator.choice(['p', 'é%', 'a b', '%25'])}{n}" for n in range(40)]
        # In an order that no score tells, so that ties decide.
        generator.shuffle(products)
        for product in generator.sample(products, 8):
            judgments.add(query, product, grade=generator.choice([0, 1, 1, 2]))
        judgments.add(query, "never found", grade=1)
        values = [generator.choice([1.0, 0.5, 0.5 + 1e-12, generator.random()]) for _ in range(25)]
        scores[query.id] = dict(zip(products, sorted(values, reverse=True), strict=False))
    return judgments, Run("ours", scores)


def test_three_programs_read_what_was_written(tmp_path: Path) -> None:
    judgments, run = drawn()
    trec.write_qrels(judgments, tmp_path / "a.qrels")
    trec.write_run(run, tmp_path / "a.run")
    given = {"qrels": str(tmp_path / "a.qrels"), "run": str(tmp_path / "a.run")}
    found = installed.program([installed.python(), installed.PROGRAMS / "trec_readers.py"], given)
    expected: dict[str, dict[str, float]] = {}
    for short, name in MEASURES.items():
        scores = score(parse(name, judgments), judgments, run)
        for query, value in zip(scores.queries, scores.values, strict=True):
            # As it stands in the files.
            written = (
                query.replace("%", "%25").replace(" ", "%20") if " " in query or "%20" in query else query
            )
            expected.setdefault(written, {})[short] = float(value)
    for reader, values in found.items():
        assert values.keys() == expected.keys(), reader
        for query, of in expected.items():
            assert values[query] == pytest.approx(of, abs=1e-6), (reader, query)
