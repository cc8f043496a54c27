"""Which recipe fits the data, what a training brought, and that a loss is not deployed by accident."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmsearch.errors import ServedTreeError, TrainingError
from mmsearch.models import gain
from mmsearch.models.architecture import load
from mmsearch.models.deploy import deploy
from mmsearch.models.gain import Gain
from mmsearch.training.pairs import Pair, ProductInput
from mmsearch.training.recipes.choice import chosen
from mmsearch.training.recipes.joint import joint


def data(count: int, words: int, pictured: float) -> tuple[list[ProductInput], list[Pair]]:
    products = [
        ProductInput(str(number), "word " * words, Path("a.png") if number < pictured * count else None, "")
        for number in range(count)
    ]
    return products, [Pair("q", product.identifier, 1.0) for product in products]


@pytest.mark.parametrize(
    ("count", "words", "pictured", "name", "moves"),
    [
        (1000, 58, 0.0, "bibert", True),
        (1000, 58, 0.5, "3tmm_gated", True),
        (5000, 3, 0.5, "3tmm_gated", False),
        (999, 58, 0.49, "bibert_mlp", False),
        (100, 58, 1.0, "3tmm_gated", False),
    ],
)
def test_the_data_decide(count: int, words: int, pictured: float, name: str, moves: bool) -> None:
    said: list[str] = []
    found = chosen(*data(count, words, pictured), said.append)
    assert found.name == name
    assert any(tower.moving for tower in found.towers.values()) == moves
    assert said[0].startswith(f"{count:,} pairs over {count:,} products, texts of {words} words")
    assert f": {name}{' with moving text towers' if moves else ''}, since " in said[0]


def test_too_few_pairs_are_one_sentence() -> None:
    products, pairs = data(99, 5, 0)
    with pytest.raises(TrainingError, match="at least 100 pairs with products of the catalog, got 99"):
        chosen(products, [*pairs, Pair("q", "elsewhere", 1.0)], lambda line: None)


def test_the_joint_form_keeps_what_the_data_file_says() -> None:
    found = joint(load("4tmm_gated"))
    assert {name for name, tower in found.towers.items() if tower.moving} == {"minilm"}
    assert found.data["training"]["titles"] == 0.5
    assert joint(found) is found
    assert joint(load("bibert")).data["training"]["batch"] == 128


def test_the_gain_has_an_interval_and_a_sentence(tmp_path: Path) -> None:
    before = np.array([0.1, 0.2, 0.3, 0.4])
    found = gain.of(before, before + 0.25)
    assert found == Gain(4, pytest.approx(0.25), pytest.approx(0.5), pytest.approx(0.25), pytest.approx(0.25))
    assert found is not None
    assert not found.lost
    assert found.sentence() == (
        "held-out (recall@10 + nDCG@10) / 2 over 4 queries: untrained 0.250, trained 0.500, gain +0.250 "
        "(+0.250 to +0.250)"
    )
    gain.write(found, tmp_path)
    assert gain.read(tmp_path) == found
    assert gain.of(before[:0], before[:0]) is None
    assert gain.read(tmp_path / "elsewhere") is None
    assert "the gain is not certain" in Gain(4, 0.5, 0.6, -0.1, 0.3).sentence()
    assert "training did not help" in Gain(4, 0.5, 0.5, 0.0, 0.0).sentence()


def test_a_training_that_lost_is_not_deployed(tmp_path: Path) -> None:
    (tmp_path / "architecture.json").write_text(json.dumps({}))
    (tmp_path / "fusion.safetensors").write_bytes(b"")
    gain.write(Gain(40, 0.5, 0.48, -0.05, 0.01), tmp_path)
    with pytest.raises(ServedTreeError, match=r"got -0\.020 \(-0\.050 to \+0\.010\).*deploy it by --anyway"):
        deploy(tmp_path, "int8", tmp_path / "tree", lambda line: None)
    from mmsearch.errors import ArchitectureError

    with pytest.raises(ArchitectureError):  # past the gain, the empty architecture is refused
        deploy(tmp_path, "int8", tmp_path / "tree", lambda line: None, anyway=True)
