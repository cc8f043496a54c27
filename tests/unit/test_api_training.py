"""`mmsearch.train`: pairs and products from memory, a training's folder, and what is left out."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

import mmsearch
from mmsearch.errors import ArchitectureError, ArgumentError, TrainingError
from mmsearch.models.architecture import Architecture
from mmsearch.training.objective import Features
from mmsearch.training.pairs import Pair, ProductInput

from ..fakes.lacking import lacking
from ..fakes.small_training import drawn, small

PAIRS = [
    {"query": "seat", "product_id": "1", "count": 2},
    {"query": "seat", "product_id": 2, "negatives": ["3"]},
    {"query": "light", "product_id": "3", "count": float("nan")},
]
PRODUCTS: list[dict[str, Any]] = [
    {"id": "1", "title": "Oak chair", "group": "wood"},
    {"id": "2", "title": "Stool", "image": "stool.png"},
    {"id": "3", "title": "Lamp"},
    {"title": "nameless"},
    {"id": "3", "title": "Lamp"},
]


@pytest.fixture
def architecture(tmp_path: Path) -> str:
    """A small 4tmm_gated, of twelve steps."""
    data = dict(small("4tmm_gated").data)
    data["training"] = {
        "steps": 12,
        "batch": 32,
        "rate": 0.01,
        "evaluate_every": 4,
        "seed": 3,
        "holdout": 0.2,
    }
    path = tmp_path / "small.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return str(path)


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[ProductInput], list[Pair]]]:
    """What would go through the towers, which are too large for a unit test: drawn features come back."""
    seen: list[tuple[list[ProductInput], list[Pair]]] = []

    def features(
        architecture: Architecture, products: list[ProductInput], pairs: list[Pair], say: Any
    ) -> Features:
        seen.append((products, pairs))
        return drawn(architecture)

    monkeypatch.setattr("mmsearch.training.run.features", features)
    return seen


def test_dicts_are_trained_on_and_what_is_left_out_is_said(
    architecture: str,
    joined: list[tuple[list[ProductInput], list[Pair]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    told: list[mmsearch.TrainingProgress] = []
    run = mmsearch.train(
        architecture,
        pairs=PAIRS,
        catalog=iter(PRODUCTS),
        image_root=tmp_path / "images",
        progress=told.append,
    )
    ((products, pairs),) = joined
    assert pairs == [Pair("seat", "1", 2.0), Pair("seat", "2", 1.0, ("3",)), Pair("light", "3", 1.0)]
    assert [(each.identifier, each.text, each.group) for each in products] == [
        ("1", "Oak chair", "wood"), ("2", "Stool", "2"), ("3", "Lamp", "3"),
    ]  # fmt: skip
    assert products[1].picture == tmp_path / "images" / "stool.png"
    assert run.messages == (
        "2 lines of the products in memory are left out: 1 missing_id, 1 duplicate_id; such as: expected an "
        "`id` on line 4, got none",
    )
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        *run.messages
    ]
    assert run.folder == tmp_path / "runs" / run.architecture
    assert {"architecture.json", "fusion.safetensors", "log.jsonl"} <= {
        each.name for each in run.folder.iterdir()
    }
    assert run.steps <= 12
    assert [each.steps for each in told] == [12] * len(told)
    assert [each.step for each in told] == [4, 8, 12]
    assert max(each.score for each in told) == pytest.approx(run.best_score, abs=1e-5)


def test_files_and_frames_are_trained_on_and_a_curve_comes_out(
    architecture: str, joined: list[tuple[list[ProductInput], list[Pair]]], tmp_path: Path
) -> None:
    pandas = pytest.importorskip("pandas")
    catalog, pairs = tmp_path / "catalog.jsonl", tmp_path / "pairs.jsonl"
    catalog.write_text("\n".join(map(json.dumps, PRODUCTS[:3])), encoding="utf-8")
    pairs.write_text("\n".join(json.dumps(each) for each in PAIRS[:1]), encoding="utf-8")
    run = mmsearch.train(architecture, pairs=pairs, catalog=str(catalog), out=tmp_path / "a", steps=4)
    assert run.steps == 4
    assert run.curve()["step"].tolist() == [4]
    mmsearch.train(
        architecture,
        pairs=pandas.DataFrame(PAIRS),
        catalog=pandas.DataFrame(PRODUCTS[:3]),
        out=tmp_path / "b",
        steps=4,
    )
    (from_files, _), (from_frames, pairs_of_frame) = joined
    assert [each.text for each in from_files] == [each.text for each in from_frames]
    assert pairs_of_frame[1] == Pair("seat", "2", 1.0, ("3",))


@pytest.mark.parametrize(
    ("changes", "kind", "sentence"),
    [
        ({"pairs": []}, TrainingError, "expected pairs in memory, got none"),
        ({"pairs": [{"query": "x"}]}, TrainingError, "expected a query and a product_id in pair 1, got"),
        ({"pairs": ["x"]}, TrainingError, "expected a dict as pair 1, got str"),
        (
            {"pairs": {"query": "x"}},
            ArgumentError,
            "expected pairs as an iterable of dicts, a path or a pandas",
        ),
        ({"pairs": "/nowhere.jsonl"}, TrainingError, "expected the file /nowhere.jsonl, got none"),
        ({"catalog": [{}]}, TrainingError, "expected products in the products in memory, got none"),
        ({"catalog": 5}, ArgumentError, "expected products as an iterable of dicts, a path or a pandas"),
        ({"steps": 0}, ArgumentError, "expected a whole number from 1 as steps, got 0"),
        ({"weights": "clip.safetensors"}, ArchitectureError, "expected an architecture with CLIP towers"),
        (
            {"format": "pdf"},
            ArgumentError,
            "expected format out of jsonl, json, xml, csv, tsv, xlsx, parquet, got",
        ),
    ],
)
def test_what_cannot_be_trained_on_is_one_sentence(
    architecture: str, tmp_path: Path, changes: dict[str, Any], kind: type[Exception], sentence: str
) -> None:
    given = {"pairs": PAIRS, "catalog": PRODUCTS, "out": tmp_path / "out"} | changes
    with pytest.raises(kind, match=sentence) as caught:
        mmsearch.train(architecture, **given)
    assert isinstance(caught.value, mmsearch.MmsearchError)


def test_weights_need_an_architecture() -> None:
    with pytest.raises(ArgumentError, match="expected an architecture for the weights, got none"):
        mmsearch.train(pairs=PAIRS, catalog=PRODUCTS, weights="clip.safetensors")


def test_an_architecture_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match="5tmm"):
        mmsearch.train("5tmm", pairs=PAIRS, catalog=PRODUCTS, out=tmp_path)


def test_without_torch_the_extra_is_named(tmp_path: Path) -> None:
    said = lacking(
        "torch",
        "pairs = [{'query': 'x', 'product_id': '1'}]\n"
        f"mmsearch.train('4tmm_gated', pairs=pairs, catalog=[{{'id': '1'}}], out={str(tmp_path)!r})",
    )
    assert said == (
        "MissingPackageError: expected the package torch for mmsearch.train, got none; repair: pip install "
        "'mmsearch[train]'"
    )
