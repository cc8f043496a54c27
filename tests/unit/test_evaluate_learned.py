"""The learned fusion: golden numbers shared with the plugin, its training, and when it is refused."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.judgments import Judgments, Query
from mmsearch.evaluation.measures import parse
from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.tuning.learn import FIXED
from mmsearch.evaluation.tuning.learned_model import OF_LEG, LearnedModel, features_of, fuse
from mmsearch.evaluation.tuning.logistic import LOSSES, fit
from mmsearch.evaluation.tuning.query_folds import folds_of
from mmsearch.evaluation.tuning.tune import tune

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "plugin" / "src" / "test" / "resources" / "learned-fusion.json").read_text(
        encoding="utf-8"
    )
)


@pytest.mark.parametrize("golden", GOLDEN)
def test_the_golden_file_of_the_plugin(golden: dict) -> None:  # type: ignore[type-arg]
    parameters = golden["parameters"]
    numbers = [leg[name] for leg in parameters["legs"] for name in OF_LEG] + parameters["products"]
    model = LearnedModel(len(parameters["legs"]), parameters["intercept"], tuple(numbers))
    assert model.clause()["combination"]["parameters"] == parameters
    assert fuse([dict(leg) for leg in golden["legs"]], model) == pytest.approx(golden["fused"], rel=1e-6)


def test_features_by_pencil() -> None:
    assert features_of([{"a": 5.0, "b": 4.0, "c": 1.0}, {"c": 0.5}]) == pytest.approx(
        np.array(
            [
                [1, 1, 1 / 11, 5, 0, 0, 0, 0, 0],
                [1, 0.75, 1 / 12, 4, 0, 0, 0, 0, 0],
                [1, 0.001, 1 / 13, 1, 1, 1, 1 / 11, 0.5, 0.001],
            ]
        )
    )
    assert features_of([{}, {}]).shape == (0, 9)


def test_logistic_regression_by_pencil() -> None:
    # Of four products with the feature three are relevant, of four without it one: log odds ±ln 3.
    x = np.array([[1.0]] * 4 + [[0.0]] * 4)
    y = np.array([1.0, 1, 1, 0, 1, 0, 0, 0])
    intercept, coefficients = fit([x[:2], x[2:]], [y[:2], y[2:]], "binary", 1e-9)
    assert (intercept, coefficients[0]) == pytest.approx((-math.log(3), 2 * math.log(3)), abs=1e-4)


def test_the_listwise_loss_by_pencil() -> None:
    # Two of three times the product with the feature is the relevant one of two: softmax weight ln 2.
    x = np.array([[1.0], [0.0]])
    _, coefficients = fit([x] * 3, [np.array([1.0, 0])] * 2 + [np.array([0, 1.0])], "listwise", 1e-9)
    assert coefficients[0] == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_constant_feature_and_an_irrelevant_list_do_no_harm(loss: str) -> None:
    x = np.array([[1.0, 0.0], [1.0, 1.0]])
    intercept, coefficients = fit([x, x], [np.zeros(2), np.zeros(2)], loss, 1.0)
    assert math.isfinite(intercept)
    assert intercept < -5
    assert coefficients[0] == 0


def world(queries: int, *, warns: bool) -> tuple[Judgments, list[Run]]:
    """Leg one finds relevant and other products in any order. Leg two finds the others, which no weight can
    use, or the same as leg one.
    """
    generator = random.Random(3)
    judgments, first, second = Judgments(), {}, {}
    relevant, others = [f"r{n}" for n in range(4)], [f"x{n}" for n in range(12)]
    for number in range(queries):
        query = Query(f"q{number}", f"word{number}")
        for product in relevant:
            judgments.add(query, product, label="E")
        found = [*relevant, *others]
        generator.shuffle(found)
        first[query.id] = {product: float(50 - rank) for rank, product in enumerate(found)}
        second[query.id] = dict.fromkeys(others, 1.0) if warns else dict(first[query.id])
    return judgments, [Run("one", first), Run("two", second)]


def test_a_model_that_helps_is_used() -> None:
    judgments, runs = world(30, warns=True)
    found = tune(judgments, runs, parse("ndcg@10", judgments), learned_fusion=True)
    study = found.learned_fusion
    assert study is not None
    assert study.helps
    assert study.held_out > 0.99
    assert found.clause == study.model.clause()
    names = [f"{each}, equal weights" for each in ("rrf", "min_max", "theoretical_min_max")]
    assert set(study.against) == {FIXED, "one alone", *names}
    assert "is better than each" in study.sentence


def test_a_model_that_does_not_help_is_refused() -> None:
    judgments, runs = world(20, warns=False)
    found = tune(judgments, runs, parse("ndcg@10", judgments), learned_fusion=True)
    study = found.learned_fusion
    assert study is not None
    assert not study.helps
    assert found.clause == found.fusion.clause()
    assert study.sentence.startswith("The learned fusion is refused: its difference from ")


def test_variants_of_a_query_share_a_fold() -> None:
    judgments = Judgments()
    variants = ["oak chair", "Chair oak", "oak chairs"]
    others = [f"thing {n}" for n in range(9)]
    for text in [*variants, *others, ""]:
        judgments.add(Query(text or "by id"), "p", label="E")
        judgments.queries[text or "by id"] = Query(text or "by id", text or None)
    queries = list(judgments.queries)
    folds = folds_of(judgments, queries, 5)
    assert len(set(folds[:3])) == 1
    assert set(folds.tolist()) == set(range(5))
    with pytest.raises(MmsearchError, match="expected 2 to 11 folds over 11 distinct queries, got 12"):
        folds_of(judgments, queries, 12)
