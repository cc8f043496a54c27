"""Our measures against pytrec_eval and ranx on 10,000 random queries: equal to 1e-9, in no more time.

Both arms start from the same `{query: {product: number}}` dictionaries and end with a number for every
measure and query. The data holds tied scores, queries without answers, answers to unknown queries and graded
labels.

    .venv/bin/python bench evaluation [--short]
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytrec_eval
from measuring.interleaved import Table, measure
from measuring.options import Options
from measuring.peers import has

from mmsearch.evaluation.judgments import Judgments, Query
from mmsearch.evaluation.measures import Evaluation, parse
from mmsearch.evaluation.runs import Run

ANSWERS = 100
NAMES = {
    "ndcg(grade)@10": "ndcg_cut_10",
    "ndcg(grade)": "ndcg",
    "recall(grade)@10": "recall_10",
    "recall(grade)@100": "recall_100",
    "precision(grade)@10": "P_10",
    "mrr(grade)": "recip_rank",
    "map(grade)": "map",
}
Values = dict[str, dict[str, float]]


def random_data(queries: int, answers: int, seed: int) -> tuple[dict[str, dict[str, int]], Values]:
    """Qrels with grades -1 to 3 and a run whose scores tie in half of the queries; 1 query in 20 lacks one or
    both."""
    generator = random.Random(seed)
    products = [f"p{number}" for number in range(5 * answers)]
    qrels: dict[str, dict[str, int]] = {}
    run: Values = {}
    for number in range(queries):
        key = f"q{number}"
        judged = generator.sample(products, generator.randint(1, answers // 2))
        if generator.random() > 0.05:
            qrels[key] = {product: generator.choice((-1, 0, 0, 1, 2, 3)) for product in judged}
        if generator.random() > 0.05:
            returned = generator.sample(products, generator.randint(1, answers))
            ties = generator.random() < 0.5
            run[key] = {p: float(generator.randint(0, 9)) if ties else generator.random() for p in returned}
    return qrels, run


def ours(qrels: dict[str, dict[str, int]], run: Values) -> Values:
    """`{our measure: {query: value}}`."""
    judgments = Judgments(queries={key: Query(key) for key in qrels}, grades=qrels)
    evaluation = Evaluation(judgments, Run.from_scores("ours", run))
    scores = [evaluation.scores(parse(name, judgments)) for name in NAMES]
    return {each.measure.name: dict(zip(each.queries, each.values.tolist(), strict=True)) for each in scores}


def theirs(qrels: dict[str, dict[str, int]], run: Values) -> Values:
    """`{query: {their measure: value}}`, for the queries that both have."""
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, set(NAMES.values()))
    values: Values = evaluator.evaluate(run)
    return values


def largest_difference(ours_values: Values, theirs_values: Values) -> float:
    """The largest difference of any value; a query that theirs leaves out must be 0 in ours."""
    return max(
        abs(value - theirs_values.get(query, {}).get(NAMES[name], 0.0))
        for name, of_queries in ours_values.items()
        for query, value in of_queries.items()
    )


def timed(action: Callable[[], object]) -> float:
    """Seconds of processor time that `action` takes, all threads together."""
    start = time.process_time()
    action()
    return time.process_time() - start


def beside_ranx(qrels: dict[str, dict[str, int]], run: Values) -> Table:
    """Ours against ranx, which knows neither grades below 0 nor queries that one side lacks."""
    import ranx

    names = ["ndcg@10", "ndcg", "recall@10", "recall@100", "precision@10", "mrr", "map"]
    both = qrels.keys() & run.keys()
    # What is judged 0 or less is what is not judged, to all of these measures.
    judged = {key: {p: grade for p, grade in qrels[key].items() if grade > 0} for key in both}
    judged = {key: grades for key, grades in judged.items() if grades}
    answers = {key: run[key] for key in judged}

    def peer() -> object:
        return ranx.evaluate(ranx.Qrels(judged), ranx.Run(answers), names, return_mean=False)

    arms = {"mmsearch": lambda: timed(lambda: ours(judged, answers)), "ranx": lambda: timed(peer)}
    table = measure("evaluation-ranx", arms, rounds=3, unit="s of processor time")
    table.target("mmsearch", "ranx", at_most=1.0)
    table.note(f"{len(judged)} of the same queries, those with a product judged above 0 and an answer.")
    return table


def main() -> int:
    """Print the tables; 0 when every target is met."""
    asked = Options(__doc__, queries=(10_000, 500)).parse()
    qrels, run = random_data(asked.queries, ANSWERS, seed=1)
    table = measure(
        "evaluation",
        {
            "pytrec_eval": lambda: timed(lambda: theirs(qrels, run)),
            "mmsearch": lambda: timed(lambda: ours(qrels, run)),
        },
        rounds=15,
        unit="s of processor time",
    )
    table.target("mmsearch", "pytrec_eval", at_most=1.0)
    apart = largest_difference(ours(qrels, run), theirs(qrels, run))
    table.figure("largest difference of any value", apart, {"<=": 1e-9}, exact=True)
    table.note(f"{asked.queries} queries, up to {ANSWERS} answers each, {len(NAMES)} measures.")
    good = table.finish()
    if has("ranx"):
        good &= beside_ranx(qrels, run).finish()
    return 0 if good else 1
