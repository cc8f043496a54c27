"""Exclusive matches, intervals, p-values and slices, against pencil numbers."""

from __future__ import annotations

import numpy as np
import pytest

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.compare import bootstrap_interval, compare, randomisation_p
from mmsearch.evaluation.exclusive import exclusive
from mmsearch.evaluation.judgments import Judgments, Query
from mmsearch.evaluation.measures import parse, score
from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.slices import sliced, slices


def judged() -> Judgments:
    judgments = Judgments()
    chair = Query("chair", "oak chair", None, {"category": "seats"})
    for product, label in [("a", "E"), ("b", "E"), ("c", "S"), ("d", "I")]:
        judgments.add(chair, product, label=label)
    judgments.add(Query("lamp", "lamp", "lamp.png", {"category": "lights"}), "l", label="E")
    return judgments


OURS = Run("fused", {"chair": {"a": 4, "b": 3, "x": 2, "d": 1}, "lamp": {"l": 1}})
THEIRS = Run("text", {"chair": {"a": 4, "c": 3, "d": 2, "x": 1}})


def test_exclusive_matches_both_ways() -> None:
    ours = exclusive(judged(), OURS, THEIRS, 3)
    theirs = exclusive(judged(), THEIRS, OURS, 3)

    assert ours.products == {"chair": ["b", "x"], "lamp": ["l"]}
    assert ours.per_query == 3 / 2
    assert ours.relevant_per_query == 2 / 2
    assert ours.recall == (1 / 2 + 1 / 1) / 2
    assert ours.shares == {"E": 2 / 3, "S": 0.0, "C": 0.0, "I": 0.0, "E+S": 2 / 3, "unjudged": 1 / 3}

    assert theirs.products == {"chair": ["c", "d"], "lamp": []}
    assert theirs.per_query == 2 / 2
    assert theirs.relevant_per_query == 0.0
    assert theirs.recall == 0.0
    assert theirs.shares == {"E": 0.0, "S": 1 / 2, "C": 0.0, "I": 1 / 2, "E+S": 1 / 2, "unjudged": 0.0}


def test_exclusive_matches_depend_on_the_depth() -> None:
    assert exclusive(judged(), THEIRS, OURS, 4).products == {"chair": ["c"], "lamp": []}


def test_exclusive_matches_of_purchases_have_no_label_shares() -> None:
    judgments = Judgments()
    judgments.add(Query("chair"), "b", purchases=3)
    judgments.add(Query("chair"), "d", purchases=0)
    result = exclusive(judgments, OURS, THEIRS, 2)
    assert (result.view, result.recall, result.shares) == ("purchases", 1.0, {})


def test_exact_p_values() -> None:
    assert randomisation_p(np.array([1.0, 1.0, 1.0])) == 2 / 8
    assert randomisation_p(np.array([0.0, 3.0, 1.0])) == 2 / 4  # the sums are 4, 2, -2, -4
    assert randomisation_p(np.array([0.0, 3.0, -1.0])) == 1.0
    assert randomisation_p(np.zeros(5)) == 1.0
    assert randomisation_p(np.array([0.1] * 10)) == 2 / 1024


def test_sampled_p_values_are_near_the_exact_ones() -> None:
    differences = np.array([1.0] * 13 + [-1.0] * 3)
    # Two-sided binomial tail with 3 or fewer out of 16: (1 + 16 + 120 + 560) * 2 / 2**16.
    exact = 2 * (1 + 16 + 120 + 560) / 2**16
    assert randomisation_p(differences) == pytest.approx(exact, abs=0.006)
    assert randomisation_p(np.ones(200)) == pytest.approx(1 / 10_001)


def test_the_bootstrap_interval_of_a_coin() -> None:
    values = np.array([0.0, 1.0] * 200)
    low, high = bootstrap_interval(values)
    # The standard error of the mean of 400 fair coins is 0.5 / 20.
    assert low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.005)
    assert high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.005)
    assert bootstrap_interval(np.array([0.25, 0.25])) == (0.25, 0.25)
    assert bootstrap_interval(np.array([])) == (0.0, 0.0)
    assert bootstrap_interval(values) == (low, high)  # the same seed, the same interval


def test_a_comparison_counts_wins_losses_and_ties() -> None:
    judgments = judged()
    recall = parse("recall(exact)@3", judgments)
    result = compare(score(recall, judgments, OURS), score(recall, judgments, THEIRS))
    assert (result.system, result.baseline) == (1.0, 0.25)
    assert (result.difference, result.ratio) == (0.75, 4.0)
    assert (result.wins, result.losses, result.ties) == (2, 0, 0)
    assert result.p == 2 / 4
    assert result.low <= 0.75 <= result.high


def test_scores_of_different_measures_are_not_compared() -> None:
    judgments = judged()
    first, second = (score(parse(name, judgments), judgments, OURS) for name in ("mrr", "recall@3"))
    with pytest.raises(MmsearchError, match="expected one measure over the same queries"):
        compare(first, second)


def test_slices_by_length_modality_and_attribute() -> None:
    judgments = judged()
    assert slices(judgments, "length") == {"1 word": ["lamp"], "2 words": ["chair"]}
    assert slices(judgments, "modality") == {"both": ["lamp"], "text": ["chair"]}
    assert slices(judgments, "category") == {"lights": ["lamp"], "seats": ["chair"]}
    scores = score(parse("recall(exact)@1", judgments), judgments, OURS)
    assert sliced(scores, ["lamp"]).mean == 1.0
    assert sliced(scores, ["chair"]).mean == 0.5
    with pytest.raises(
        MmsearchError, match="expected a slice by one of category, length, modality, got 'colour'"
    ):
        slices(judgments, "colour")
