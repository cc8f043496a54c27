"""An architecture with the text encoder that a user gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

import mmsearch
from mmsearch.errors import ArchitectureError, WeightsError
from mmsearch.models import weights
from mmsearch.models.architecture import load
from mmsearch.models.named import named
from mmsearch.training.recipes.joint import joint

from ..fakes import small_bert
from .test_training_towers import shop


def minilm() -> Path:
    """A folder as sentence-transformers writes it, of the dimension of the architectures."""
    return weights.folder(load("bibert").towers["minilm"].weights) / "model"


def test_the_texts_are_read_by_the_given_encoder_and_the_images_stay() -> None:
    plain, changed = load("3tmm_gated"), named("3tmm_gated", str(minilm()))
    assert {changed.tower(slot).weights for slot in ("bibert_query", "bibert_item")} == {str(minilm())}
    naming = changed.towers[str(changed.tower("clip_image").numbers["names_by"])]
    assert (naming.weights, naming.numbers) == (
        plain.towers["minilm"].weights,
        plain.towers["minilm"].numbers,
    )


def test_what_names_the_classes_stays_frozen_and_is_kept_the_next_time_too(tmp_path: Path) -> None:
    moving = joint(load("3tmm_gated"))
    described = tmp_path / "moving.json"
    described.write_text(json.dumps(moving.data))
    once = named(str(described), str(minilm()))
    assert {name for name, tower in once.towers.items() if tower.moving} == {"minilm"}
    described.write_text(json.dumps(once.data))
    again = named(str(described), str(minilm()))
    assert again.data["towers"] == once.data["towers"]


def test_an_encoder_of_another_dimension_or_for_no_text_tower_is_refused(tmp_path: Path) -> None:
    small = small_bert.encoder(tmp_path / "small")
    with pytest.raises(
        ArchitectureError, match=r"of dimension 384 for 3tmm_gated, got 16 in .*small; name an architecture"
    ):
        named("3tmm_gated", str(small))
    with pytest.raises(
        ArchitectureError, match=r"with a text tower for .* got ViT-B-32; name one such as bibert"
    ):
        named("ViT-B-32", str(minilm()))
    (small / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"got no model.safetensors in "):
        named("bibert", str(small))


def test_a_training_begins_where_another_one_ended(tmp_path: Path) -> None:
    """First on some pairs, then on others: the second one is complete without the first one's folder."""
    encoder = small_bert.encoder(tmp_path / "encoder")
    products, pairs = shop()
    records = [{"id": product.identifier, "title": product.text} for product in products]
    asked = [{"query": pair.query, "product_id": pair.product} for pair in pairs]
    described = tmp_path / "small.json"
    data = small_bert.data("bibert", encoder, {"last": 1}, holdout=0.0, tower_rate=0.01, steps=2)
    described.write_text(json.dumps(data))
    first = mmsearch.train(str(described), pairs=asked, catalog=records, out=tmp_path / "first")
    trained = first.folder / "towers" / "minilm"
    assert (named(str(described), str(trained)).towers["minilm"].moving.last, first.steps) == (1, 2)
    data["training"]["tower_rate"] = 0.0
    described.write_text(json.dumps(data))
    second = mmsearch.train(
        str(described), pairs=asked, catalog=records, out=tmp_path / "second", weights=str(trained)
    )
    ends = [load_file(run.folder / "towers" / "minilm" / "model.safetensors") for run in (first, second)]
    began = load_file(encoder / "model.safetensors")
    assert all((ends[0][name] == value).all() for name, value in ends[1].items())
    assert any((began[name] != value).any() for name, value in ends[1].items())
    assert load(second.folder / "architecture.json").towers["minilm"].weights == str(
        second.folder / "towers" / "minilm"
    )
