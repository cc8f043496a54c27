"""Legs as hybrids of one leg, and what their evidence tells of scores."""

from __future__ import annotations

from mmsearch.evaluation.live import RANGED, Answers
from mmsearch.evaluation.templates import Template
from mmsearch.evaluation.tuning.live_ranges import run_of, wrapped
from mmsearch.search.clauses import ALONE
from mmsearch.search.hits import Hit, Leg


def test_a_query_becomes_a_hybrid_of_one_leg() -> None:
    query = {"match": {"title": "{{query}}"}}
    asked = Template("words", {"query": query, "size": "{{k}}"}, "shop")
    found = wrapped(asked, 50, ALONE)
    assert found == Template(
        "words",
        {
            "query": {"hybrid": {"queries": [query], "pagination_depth": 50, "fusion": RANGED}},
            "size": "{{k}}",
        },
        "shop",
    )
    assert found.filled("chair", None, 10) is not None
    assert found.filled(None, None, 10) is None


def test_what_is_more_than_one_query_stays_as_it_is() -> None:
    for body in (
        {"query": {"match": {"title": "{{query}}"}}, "collapse": {"field": "group"}},
        {"query": {"hybrid": {"queries": [{"match": {"title": "{{query}}"}}]}}},
    ):
        assert wrapped(Template("words", body), 50, ALONE).body == body


def test_evidence_gives_scores_and_ranges() -> None:
    first: Leg = {"name": "0", "rank": 1, "score": 3.0, "normalized": 0.5, "bound": 6.0}
    second: Leg = {"name": "0", "rank": 2, "score": 2.0, "normalized": 0.25, "bound": 7.0, "floor": 1.0}
    unknown: Leg = {"name": "0", "rank": 1, "score": 9.0, "normalized": 1.0, "normalization": "min_max"}
    hits = {
        "q1": [Hit("b", 0.25, {}, (second,)), Hit("a", 0.5, {}, (first,))],
        "q2": [Hit("c", 1.0, {}, (unknown,))],
        "q3": [Hit("d", 4.0, {})],
    }
    run = run_of(Answers("words", hits=hits, problems={"q4": "no words"}))
    assert list(run.scores["q1"].items()) == [("a", 3.0), ("b", 2.0)]
    assert run.ranges["q1"] == {"a": (0.0, 6.0), "b": (1.0, 7.0)}
    assert (run.scores["q2"], run.ranges["q2"]) == ({"c": 9.0}, {})
    assert (run.scores["q3"], run.ranges["q3"]) == ({"d": 4.0}, {})
    assert run.problems == {"q4": "no words"}
