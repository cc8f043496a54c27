"""Architectures are data: what is read, what is refused, and what the fingerprint stands for."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmsearch.errors import ArchitectureError, WeightsError
from mmsearch.models.architecture import Architecture, fusion_inputs, load, names, parse
from mmsearch.models.weights import PACKAGED, weights_hash

Data = dict[str, Any]


@pytest.fixture
def data() -> Data:
    return copy.deepcopy(dict(load("4tmm_cat").data))


@pytest.mark.parametrize("name", names())
def test_every_architecture_that_comes_with_the_package_is_named_like_its_file(name: str) -> None:
    assert load(name).name == name


def test_the_default_runs_one_text_tower_for_both_halves_of_a_query() -> None:
    architecture = load("4tmm_cat")
    assert architecture.slots["bibert_query"] == architecture.slots["clip_text"]
    assert fusion_inputs(architecture, "query") == {"TEXT": 384, "CLIP_TEXT": 384, "IMAGE": 384}
    assert fusion_inputs(architecture, "item") == {"TEXT": 384, "IMAGE": 384}


def without_towers(data: Data) -> None:
    del data["towers"]


def unknown_slot(data: Data) -> None:
    data["slots"]["audio"] = "minilm"


def unknown_tower(data: Data) -> None:
    data["slots"]["clip_text"] = "bert"


def picture_tower_for_text(data: Data) -> None:
    data["slots"]["clip_text"] = "lite0"


def idle_tower(data: Data) -> None:
    data["towers"]["other"] = data["towers"]["minilm"]


def no_query(data: Data) -> None:
    data["slots"] = {"bibert_item": "minilm", "clip_image": "lite0"}


def substitute_of_another_space(data: Data) -> None:
    data["towers"]["words"] = data["towers"]["minilm"]
    data["slots"]["clip_text"] = "words"


def substitute_above_one(data: Data) -> None:
    data["fusion"]["substitute"] = 1.5


def next_format(data: Data) -> None:
    data["format"] = 2


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_towers, "got none at 'towers'"),
        (unknown_slot, "got 'audio'"),
        (unknown_tower, "got 'bert'"),
        (picture_tower_for_text, "expected a text tower in slot clip_text"),
        (idle_tower, "got none for other"),
        (no_query, "expected bibert_query or clip_text"),
        (substitute_of_another_space, "expected a substitute only with one tower in the slots"),
        (substitute_above_one, "expected a substitute from 0 to 1, got 1.5"),
        (next_format, "expected an architecture of format 1, got 2"),
    ],
)
def test_data_that_does_not_hold_together_is_refused(
    data: Data, spoil: Callable[[Data], None], message: str
) -> None:
    spoil(data)
    with pytest.raises(ArchitectureError, match=message):
        parse(data)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ArchitectureError, match="4tmm_cat"):
        load("5tmm")


def test_a_file_is_an_architecture_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(dict(load("4tmm_cat").data) | {"name": "mine"}))
    assert load(file).name == "mine"
    file.write_text("{")
    with pytest.raises(ArchitectureError, match="expected JSON"):
        load(file)


def test_the_fingerprint_changes_with_a_number_with_the_weights_and_with_the_precision(data: Data) -> None:
    def of(architecture: Architecture, weights: str = "a", precision: str = "fp32") -> str:
        return architecture.fingerprint({"all-minilm-l6-v2": weights}, precision)

    first = of(parse(data))
    changed = copy.deepcopy(data)
    changed["towers"]["lite0"]["temperature"] = 2.0
    assert len({first, of(parse(changed)), of(parse(data), "b"), of(parse(data), precision="int8")}) == 4
    assert of(parse(dict(reversed(data.items())))) == first


def test_vectors_of_pictures_depend_on_the_preprocessing_and_the_fingerprint_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def of(name: str) -> str:
        return load(name).fingerprint({}, "fp32")

    before = {name: of(name) for name in ("4tmm_cat", "bibert")}
    monkeypatch.setattr("mmsearch.models.architecture.PREPROCESSING", -1)
    assert of("4tmm_cat") != before["4tmm_cat"]
    assert of("bibert") == before["bibert"]  # without a picture tower


def test_weights_of_a_package_are_known_without_the_package_and_local_ones_by_content(tmp_path: Path) -> None:
    assert len({weights_hash(name) for name in PACKAGED}) == len(PACKAGED)
    (tmp_path / "weights").write_bytes(b"1")
    before = weights_hash(str(tmp_path))
    (tmp_path / "weights").write_bytes(b"2")
    assert weights_hash(str(tmp_path)) != before
    with pytest.raises(WeightsError, match="got 'nowhere'"):
        weights_hash("nowhere")
