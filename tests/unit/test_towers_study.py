"""The study of towers that move: what is trained over which encoder, and what is judged of it."""

from __future__ import annotations

from typing import Any

import pytest
from fusion_study.systems import System, moving, over
from quality.targets import texts, towers

from mmsearch.models.architecture import load


def test_numbers_are_added_to_those_of_the_architecture() -> None:
    plain, changed = load("3tmm_gated"), over("3tmm_gated", None, {"batch": 128})
    assert changed.data["training"] == {**plain.data["training"], "batch": 128}
    assert changed.data["towers"] == plain.data["towers"]


def test_only_what_is_joint_moves() -> None:
    def moved(system: System) -> dict[str, Any]:
        towers = moving(system, None, {}).towers
        return {name: tower.moving.last for name, tower in towers.items() if tower.moving}

    assert moved(System("4tmm_gated")) == {}
    assert moved(System("4tmm_gated", 2)) == {"minilm": 2}
    assert moved(System("bibert", 6)) == {"minilm": 6}


def row(system: str, held_out: float, **over: float) -> dict[str, Any]:
    measures = ("ndcg(grade)@10", "recall(grade)@100")
    found: dict[str, Any] = {"system": system, "held out": held_out}
    for other, value in over.items():
        found[f"over {other}"] = {key: [value, 0.9, 1.1] for key in measures}
    return found


def test_the_joint_system_is_chosen_by_what_training_held_out() -> None:
    rows = [
        row("3tmm_gated", 0.9),
        row("bibert joint", 0.8, **{"3tmm_gated": 1.5}),
        row("shuffled 3tmm_gated joint", 0.8, **{"3tmm_gated": 1.5}),
        row("3tmm_gated joint", 0.6, **{"3tmm_gated": 1.1}),
        row("4tmm_gated joint", 0.7, **{"3tmm_gated": 1.03}),
    ]
    results = {"rows": rows, "products": 3, "queries": 2, "seeds": 1}
    table = towers(results, store=False)
    assert [(each["value"], each["target"]) for each in table.verdicts] == [
        (1.03, ">= 0.98"),
        (1.03, ">= 1.02"),
    ]


def test_a_text_tower_is_judged_by_the_texts_that_are_the_same_for_all() -> None:
    def of(trained: float, hybrid: float) -> dict[str, Any]:
        return {
            "MiniLM": {"ndcg(grade)@10": 0.3},
            "BM25": {"ndcg(grade)@10": 0.35},
            "trained": {"ndcg(grade)@10": 0.3 * trained, "over MiniLM": [trained, 1.06, 1.2]},
            "BM25 + trained": {"ndcg(grade)@10": hybrid},
        }

    both = {"name, summary, description": of(1.2, 0.4), "as indexed": of(1.0, 0.9)}
    table = texts({"run": {"keywords": 1, "applications": 2, **both}, "from-nothing": both})
    judged = [(each["value"], each["target"]) for each in table.verdicts if each["target"]]
    assert judged == [
        (1.2, ">= 1.12"),
        (1.06, ">= 1.05"),
        (1.2, ">= 0.6"),
        (pytest.approx(1.111, abs=1e-3), ">= 1.05"),
    ]
