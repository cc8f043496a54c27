"""Scores over what their query could reach: pencil numbers, and the golden file that the plugin reads too."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmsearch.evaluation.tuning.fusion import Fusion, fuse, normalized
from mmsearch.evaluation.tuning.ranges import Range, best_of, share, term

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "plugin/src/test/resources/fusion-golden.json").read_text(encoding="utf-8")
)
BOUNDS = Fusion("theoretical_min_max")


def test_shares_by_pencil() -> None:
    half = Range(0, 20)
    assert share(np.array([10.0, 5.0]), [half, half]).tolist() == [0.5, 0.25]
    # Below the score of a random product and above the bound.
    assert share(np.array([0.25, 2.0]), [Range(0.5, 1), Range(0.5, 1)]).tolist() == [0.0, 1.0]
    assert share(np.array([0.0]), [Range(0, 0)]).tolist() == [1.0]


def test_hits_keep_their_order_over_shards() -> None:
    found = normalized([10, 6, 2], BOUNDS, [Range(0, 20), Range(0, 8), Range(0, 20)])
    # The second would be at 0.75.
    assert found.tolist() == pytest.approx([0.5, 0.5 * (1 - 1e-6), 0.1])
    floored = normalized([0.8, 0.5, 0.4], BOUNDS, [Range(0.5, 1)] * 3)
    assert floored.tolist() == pytest.approx([0.6, 0.001, 0.001 * (1 - 1e-6)])


def test_without_ranges_it_is_min_max() -> None:
    assert normalized([5, 4, 1], BOUNDS).tolist() == normalized([5, 4, 1], Fusion("min_max")).tolist()


def test_the_bound_of_a_text_query() -> None:
    assert term(8, 2) == pytest.approx(math.log(3.6))
    assert term(8, 2, boost=2, factor=2.2) == pytest.approx(4.4 * math.log(3.6))
    assert term(8, 0) == 0.0
    assert best_of([3.0, 2.0, 1.0], 0.5) == pytest.approx(4.5)
    assert best_of([]) == 0.0


@pytest.mark.parametrize("case", GOLDEN["terms"], ids=str)
def test_terms_of_the_golden_file(case: dict[str, Any]) -> None:
    assert term(case["documents"], case["containing"], case["boost"]) == pytest.approx(case["bound"])


@pytest.mark.parametrize("case", GOLDEN["fusions"], ids=lambda case: case["name"])
def test_fusions_of_the_golden_file(case: dict[str, Any]) -> None:
    combination = case["fusion"]["combination"]
    normalization = case["fusion"].get("normalization", {}).get("technique", "reciprocal_rank")
    weights = tuple(combination.get("parameters", {}).get("weights", ()))
    fusion = Fusion(normalization, combination["technique"], weights)
    legs = [dict(zip(map(str, leg["keys"]), leg["scores"], strict=True)) for leg in case["legs"]]
    ranges = [
        dict(zip(map(str, leg["keys"]), (Range(*each) for each in leg["ranges"]), strict=True))
        if leg["ranges"]
        else None
        for leg in case["legs"]
    ]
    expected = {str(key): score for key, score, _ in case["expected"]}
    found = fuse(legs, fusion, ranges)
    assert found == pytest.approx(expected, rel=1e-6)
    assert sorted(found.values(), reverse=True) == list(found.values())
    for leg, of_leg in enumerate(legs):
        each = [Range(*pair) for pair in case["legs"][leg]["ranges"] or ()]
        by_key = {str(key): values[leg] for key, _, values in case["expected"]}
        for key, value in zip(of_leg, normalized(list(of_leg.values()), fusion, each), strict=True):
            if key in by_key:
                assert value == pytest.approx(by_key[key], rel=1e-6)
