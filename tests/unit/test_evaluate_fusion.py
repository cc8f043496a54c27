"""Fusion offline: pencil numbers, fast arrays against slow lists, and tuning with cross-validation."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.judgments import Judgments, Query
from mmsearch.evaluation.measures import parse, score
from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.tuning.fusion import Fusion, fuse, normalized, techniques
from mmsearch.evaluation.tuning.tune import Lists, fused_run, simplex, tune


def test_normalisations_by_pencil() -> None:
    assert normalized([5, 4, 1], Fusion("min_max")).tolist() == [1.0, 0.75, 0.001]
    assert normalized([4, 3], Fusion("l2")).tolist() == [0.8, 0.6]
    # Mean 2, sample deviation 1: what is not above the mean goes below the floor, in its order.
    assert normalized([3, 2, 1], Fusion("z_score")).tolist() == pytest.approx(
        [1.0, 0.001 * math.exp(-0.001), 0.001 * math.exp(-1.001)]
    )
    assert normalized([10_000, 2, 1], Fusion("min_max")).tolist() == pytest.approx(
        [1.0, 1 / 9_999, (1 - 1e-6) / 9_999]
    )
    assert normalized([9, 1], Fusion("reciprocal_rank", "rrf")).tolist() == [1 / 61, 1 / 62]
    for technique in ("min_max", "z_score"):
        assert normalized([2, 2], Fusion(technique)).tolist() == [1.0, 1.0]
        assert normalized([7], Fusion(technique)).tolist() == [1.0]
    assert normalized([], Fusion()).tolist() == []
    assert normalized([0, 0], Fusion("l2")).tolist() == [0.001, 0.001]


LEGS = [{"a": 5.0, "b": 4.0, "c": 1.0}, {"c": 0.9, "a": 0.5}]


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [
        (Fusion(), {"a": (1 + 0.001) / 2, "c": (0.001 + 1) / 2, "b": 0.75 / 2}),
        (
            Fusion(weights=(0.25, 0.75)),
            {"c": 0.25 * 0.001 + 0.75, "a": 0.25 + 0.75 * 0.001, "b": 0.25 * 0.75},
        ),
        (
            Fusion("min_max", "geometric_mean"),
            {"b": 0.75, "a": math.sqrt(0.001), "c": math.sqrt(0.001)},
        ),
        (
            Fusion("min_max", "harmonic_mean", (0.5, 0.5)),
            {"b": 0.75, "a": 2 / (1 + 1000), "c": 2 / (1000 + 1)},
        ),
        (
            Fusion("reciprocal_rank", "rrf"),
            {"a": 1 / 61 + 1 / 62, "c": 1 / 63 + 1 / 61, "b": 1 / 62},
        ),
        (
            Fusion("reciprocal_rank", "rrf", (0.0, 1.0), 1),
            {"c": 1 / 2, "a": 1 / 3},  # b is found by the leg of weight 0 alone
        ),
    ],
)
def test_combinations_by_pencil(fusion: Fusion, expected: dict[str, float]) -> None:
    fused = fuse(LEGS, fusion)
    assert list(fused) == list(expected)
    assert fused == pytest.approx(expected, rel=1e-6)


def test_the_clause_is_what_the_plugin_reads() -> None:
    assert Fusion("l2", "geometric_mean", (0.3, 0.7)).clause() == {
        "normalization": {"technique": "l2"},
        "combination": {"technique": "geometric_mean", "parameters": {"weights": [0.3, 0.7]}},
    }
    assert Fusion("reciprocal_rank", "rrf").clause() == {
        "combination": {"technique": "rrf", "rank_constant": 60}
    }


def random_world(queries: int, legs: int, seed: int) -> tuple[Judgments, list[Run]]:
    """Judged queries and legs of uneven length, one of which finds nothing now and then."""
    generator = random.Random(seed)
    judgments = Judgments()
    scores: list[dict[str, dict[str, float]]] = [{} for _ in range(legs)]
    for number in range(queries):
        query = Query(f"q{number}")
        products = [f"p{n}" for n in range(40)]
        for product in generator.sample(products, 12):
            judgments.add(query, product, label=generator.choice("EESCI"))
        for leg in scores:
            found = generator.sample(products, generator.choice((0, 1, 5, 30)))
            values = sorted((float(generator.randint(1, 9)) for _ in found), reverse=True)
            leg[query.id] = dict(zip(found, values, strict=True))
    # The first leg has ranges for some of its queries, and the second one for some of its products alone.
    ranges = [
        {query: dict.fromkeys(found, (0.5, 12.0)) for query, found in list(scores[0].items())[::2]},
        {query: dict.fromkeys(list(found)[1:], (0.0, 10.0)) for query, found in scores[1].items()},
        *({} for _ in scores[2:]),
    ]
    return judgments, [
        Run(f"leg{n}", leg, ranges=of_leg) for n, (leg, of_leg) in enumerate(zip(scores, ranges, strict=True))
    ]


@pytest.mark.parametrize("legs", [2, 3, 5])
def test_the_arrays_equal_the_lists(legs: int) -> None:
    judgments, runs = random_world(40, legs, seed=legs)
    measure = parse("ndcg@10", judgments)
    lists = Lists(judgments, runs, measure, 20)
    for technique in techniques():
        for weights in ((), *random.Random(1).sample(simplex(legs), 5)):
            fusion = technique.weighed(weights)
            slow = score(measure, judgments, fused_run("slow", runs, fusion, window=20))
            expected = dict(zip(slow.queries, slow.values, strict=True))
            assert lists.values(fusion) == pytest.approx([expected[q] for q in lists.queries], abs=1e-12), (
                fusion
            )


@pytest.mark.parametrize("legs", [2, 3, 4, 7, 10])
def test_weights_sum_to_one_as_written(legs: int) -> None:
    weights = simplex(legs)
    assert weights[0] == ()
    assert len(weights) <= 80
    for each in weights[1:]:
        assert len(each) == legs
        assert sum(each) == pytest.approx(1, abs=1e-9)


def complementary(queries: int) -> tuple[Judgments, list[Run]]:
    """Two legs that each find one of two exact products at rank 1 and miss the other, and a leg of noise."""
    judgments = Judgments()
    first: dict[str, dict[str, float]] = {}
    second: dict[str, dict[str, float]] = {}
    noise: dict[str, dict[str, float]] = {}
    for number in range(queries):
        query = Query(f"q{number}")
        judgments.add(query, "a", label="E")
        judgments.add(query, "b", label="E")
        first[query.id] = {"a": 9.0, **{f"x{n}": 8.0 - n / 10 for n in range(20)}}
        second[query.id] = {"b": 0.9, **{f"y{n}": 0.8 - n / 100 for n in range(20)}}
        noise[query.id] = {f"z{n}": 50.0 - n / 7 for n in range(20)}
    return judgments, [Run("noise", noise), Run("text", first), Run("picture", second)]


def test_tuning_finds_what_helps_and_says_it_of_held_out_queries() -> None:
    judgments, legs = complementary(30)
    measure = parse("ndcg@10", judgments)

    found = tune(judgments, legs, measure, folds=5)

    assert found.held_out.system == pytest.approx(1.0)
    # Each leg alone has one of two products, at rank 1: 1 / (1 + 1 / log2 3).
    alone = 1 / (1 + 1 / math.log2(3))
    assert found.legs == pytest.approx({"text": alone, "picture": alone, "noise": 0.0})
    assert found.held_out.baseline == pytest.approx(alone)
    assert found.held_out.p < 0.001
    # With equal weights the noise comes first of three equal scores, and the two products at ranks 2 and 3.
    assert found.equal == pytest.approx((1 / math.log2(3) + 1 / 2) / (1 + 1 / math.log2(3)))
    assert found.fusion.weights[0] < min(found.fusion.weights[1:])
    assert len(found.folds) == 5
    assert score(measure, judgments, fused_run("tuned", legs, found.fusion)).mean == pytest.approx(1.0)
    assert np.isclose(sum(found.fusion.weights), 1)


def test_a_class_of_queries_pays_for_the_mean_only_where_that_is_asked_for() -> None:
    """Most queries find theirs at rank 2 by each leg and at rank 1 by any mix of both; the others find theirs
    at rank 1 by their pictures alone and at rank 2 by any mix."""
    judgments = Judgments()
    words: dict[str, dict[str, float]] = {}
    pictures: dict[str, dict[str, float]] = {}
    for number in range(60):
        few = number % 4 == 0
        query = Query(f"q{number}", attributes={"kind": "few" if few else "most"})
        judgments.add(query, "a", label="E")
        words[query.id] = {"x": 9.0, "w": 8.0} if few else {"w": 9.0, "a": 8.9, "u": 1.0}
        pictures[query.id] = {"a": 0.9, "x": 0.89, "v": 0.1} if few else {"v": 0.9, "a": 0.89, "u": 0.1}
    legs, measure = [Run("words", words), Run("pictures", pictures)], parse("ndcg@10", judgments)
    second = 1 / math.log2(3)

    def by_kind(classes: bool) -> dict[str, tuple[float, bool]]:
        found = tune(judgments, legs, measure, classes=classes).classes
        return {each.name: (each.held_out, each.below) for each in found if each.by == "kind"}

    assert by_kind(True) == {"few": (1.0, False), "most": (pytest.approx(second), False)}
    assert by_kind(False) == {"few": (pytest.approx(second), True), "most": (1.0, False)}


def test_tuning_never_sees_the_fold_that_it_scores() -> None:
    judgments, legs = random_world(30, 2, seed=9)
    measure = parse("ndcg@10", judgments)
    found = tune(judgments, legs, measure, folds=3)
    lists = Lists(judgments, legs, measure, 100)
    best_in_hindsight = lists.values(found.fusion).mean()
    assert found.held_out.system <= best_in_hindsight + 1e-12


def test_what_cannot_be_tuned_is_explained() -> None:
    judgments, legs = complementary(4)
    measure = parse("ndcg@10", judgments)
    with pytest.raises(MmsearchError, match="expected 2 to 10 legs"):
        tune(judgments, legs[:1], measure)
    with pytest.raises(MmsearchError, match="expected 2 to 4 folds over 4 queries, got 5"):
        tune(judgments, legs, measure, folds=5)
    with pytest.raises(MmsearchError, match="expected a measure such as ndcg@10"):
        tune(judgments, legs, parse("recall@10", judgments))
