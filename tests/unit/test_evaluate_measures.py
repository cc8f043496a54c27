"""Measures: pencil numbers, and pytrec_eval on thousands of random qrels and runs."""

from __future__ import annotations

import random
from math import log2

import numpy as np
import pytest
import pytrec_eval

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.judgments import Judgments, Query
from mmsearch.evaluation.measures import SHARES, Evaluation, parse, score, suite
from mmsearch.evaluation.runs import Run

TREC_NAMES = {
    "ndcg(grade)@5": "ndcg_cut_5",
    "ndcg(grade)@10": "ndcg_cut_10",
    "ndcg(grade)": "ndcg",
    "recall(grade)@10": "recall_10",
    "recall(grade)@100": "recall_100",
    "precision(grade)@10": "P_10",
    "mrr(grade)": "recip_rank",
    "map(grade)": "map",
}


def judged() -> Judgments:
    """Two labelled queries, one that nobody answers, and one in which nothing is exact."""
    judgments = Judgments()
    for product, label, bought in [("a", "E", 2), ("b", "S", 0), ("c", "C", 0), ("d", "I", 0), ("e", "E", 1)]:
        judgments.add(Query("chair"), product, label=label, purchases=bought)
    judgments.add(Query("rug"), "a", label="E", purchases=1)
    judgments.add(Query("lamp"), "z", label="I", purchases=0)
    return judgments


RUN = Run(
    "run", {"chair": {"b": 9.0, "x": 8.0, "a": 7.0, "d": 6.0}, "lamp": {"z": 1.0}, "unknown": {"a": 1.0}}
)

BEST = 1 + 1 / log2(3) + 0.1 / 2 + 0.01 / log2(5)  # E E S C
BEST_SWAPPED = 1 + 1 / log2(3) + 0.1 / 2 + 0.01 / log2(5)  # E E C S, where C is worth 0.1 and S 0.01


@pytest.mark.parametrize(
    ("name", "chair", "counted"),
    [
        ("recall(purchases)@2", 0.0, 2),
        ("recall(purchases)@3", 1 / 2, 2),
        ("recall(exact)@10", 1 / 2, 2),
        ("recall(useful)@10", 2 / 3, 2),
        ("precision(exact)@10", 1 / 10, 2),
        ("mrr(exact)", 1 / 3, 2),
        ("mrr(exact)@2", 0.0, 2),
        ("map(exact)", (1 / 3) / 2, 2),
        ("ndcg(esci)@10", (0.1 + 1 / log2(4)) / BEST, 2),
        ("ndcg(esci-script)@10", (0.01 + 1 / log2(4)) / BEST_SWAPPED, 2),
        ("ndcg(purchases)@10", (1 / log2(4)) / (1 + 1 / log2(3)), 2),
        ("ndcg(esci)@1", 0.1, 2),
        ("share(E)@2", 0.0, 3),
        ("share(S)@2", 1 / 2, 3),
        ("share(E+S)@4", 2 / 4, 3),
        ("share(I)@4", 1 / 4, 3),
        ("share(unjudged)@4", 1 / 4, 3),
        ("share(empty)@4", 0.0, 3),
        ("share(empty)@10", 6 / 10, 3),
        ("share(C)@10", 0.0, 3),
    ],
)
def test_pencil_numbers(name: str, chair: float, counted: int) -> None:
    judgments = judged()
    scores = score(parse(name, judgments), judgments, RUN)

    assert scores.queries == ["chair", "rug", "lamp"]
    assert scores.values[0] == pytest.approx(chair, abs=1e-12)
    assert int(scores.counted.sum()) == counted
    # `rug` was not answered: it stays in the mean as a zero, an empty list for the shares.
    assert scores.values[1] == (1.0 if name.startswith("share(empty)") else 0.0)
    assert scores.mean == pytest.approx(sum(scores.values[scores.counted]) / counted)


def test_the_shares_of_a_query_add_up_to_one() -> None:
    judgments = judged()
    evaluation = Evaluation(judgments, RUN)
    parts = [share for share in SHARES if share != "E+S"]
    for depth in (1, 3, 10):
        values = [evaluation.scores(parse(f"share({share})@{depth}", judgments)).values for share in parts]
        assert np.sum(values, axis=0) == pytest.approx([1.0, 1.0, 1.0])


def random_pair(generator: random.Random) -> tuple[dict[str, int], dict[str, float]]:
    """One query's grades and answers: short and long lists, heavy ties, grades from -1 to 3."""
    products = [f"p{number}" for number in range(generator.choice((3, 20, 200)))]
    judged_products = generator.sample(products, generator.randint(1, len(products)))
    grades = {product: generator.choice((-1, 0, 0, 1, 2, 3)) for product in judged_products}
    answers = generator.sample(products, generator.randint(1, min(len(products), 120)))
    kind = generator.choice(("ties", "near", "free"))
    scores = {
        product: float(generator.randint(-2, 2))
        if kind == "ties"
        else 0.1 + generator.randint(0, 3) * 1e-9
        if kind == "near"
        else generator.random()
        for product in answers
    }
    return grades, scores


def test_equal_to_pytrec_eval_on_ten_thousand_random_queries() -> None:
    generator = random.Random(7)
    qrels: dict[str, dict[str, int]] = {}
    answers: dict[str, dict[str, float]] = {}
    for number in range(10_000):
        grades, scores = random_pair(generator)
        missing = generator.random()
        if missing > 0.05:
            qrels[f"q{number}"] = grades
        if not 0.05 < missing < 0.1:
            answers[f"q{number}"] = scores
    judgments = Judgments(queries={query: Query(query) for query in qrels}, grades=qrels)
    evaluation = Evaluation(judgments, Run.from_scores("random", answers))

    expected = pytrec_eval.RelevanceEvaluator(qrels, set(TREC_NAMES.values())).evaluate(answers)

    assert len(expected) < len(qrels)
    for name, trec_name in TREC_NAMES.items():
        values = evaluation.scores(parse(name, judgments)).values
        theirs = [expected.get(query, {}).get(trec_name, 0.0) for query in qrels]
        assert np.abs(values - theirs).max() <= 1e-9, name


def test_a_run_without_any_answer_scores_zero() -> None:
    judgments = judged()
    for measure in suite(judgments):
        scores = score(measure, judgments, Run("silent", {}))
        assert scores.values.tolist() == [float(measure.view == "empty")] * 3


def test_the_suite_follows_the_judgments_and_names_recall_honestly() -> None:
    names = [measure.name for measure in suite(judged())]
    assert names[:2] == ["recall(purchases)@10", "recall(purchases)@100"]
    assert {"ndcg(esci)@10", "ndcg(esci-script)@10", "share(E+S)@10", "share(unjudged)@10"} <= set(names)
    graded = Judgments(queries={"q": Query("q")}, grades={"q": {"a": 1}})
    assert [measure.view for measure in suite(graded)] == ["grade"] * 6
    assert parse("recall(purchases)@10", judged()).title == "Purchase recall@10"
    assert parse("recall(exact)@10", judged()).title == "Recall of Exact@10"
    assert parse("ndcg@10", judged()).title == "nDCG@10, gains E 1, S 0.1, C 0.01, I 0"


def test_a_view_that_is_left_out_is_the_one_that_the_judgments_serve() -> None:
    assert parse("ndcg@10", judged()).name == "ndcg(esci)@10"
    assert parse("recall@10", judged()).name == "recall(purchases)@10"
    graded = Judgments(queries={"q": Query("q")}, grades={"q": {"a": 1}})
    assert parse("ndcg", graded).name == "ndcg(grade)"
    labelled = Judgments(queries={"q": Query("q")}, labels={"q": {"a": "E"}})
    assert parse("recall@5", labelled).name == "recall(exact)@5"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nonsense", "expected a measure such as"),
        ("err@10", "the families are recall"),
        ("recall", "expected a depth in 'recall', got none"),
        ("share(E)", "expected a depth"),
        ("share(X)@10", "expected share() of one of E, S, C, I"),
        ("share@10", "expected share() of one of"),
        ("ndcg(taste)@10", "expected one of the views"),
        ("ndcg@0", "expected a measure such as"),
    ],
)
def test_a_measure_that_cannot_be_is_explained(text: str, sentence: str) -> None:
    with pytest.raises(MmsearchError) as caught:
        parse(text, judged())
    assert sentence in str(caught.value)
