"""A text encoder in a folder is read like a packaged one, and what of it moves is data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mmsearch.errors import ArchitectureError, WeightsError
from mmsearch.models.architecture import load, parse
from mmsearch.models.export.export_cache import weights_hashes
from mmsearch.models.moving import Moving
from mmsearch.models.towers import encoders

from ..fakes import small_bert


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bert.encoder(tmp_path_factory.mktemp("encoder") / "towers" / "minilm")


def test_a_folder_has_the_same_fingerprint_anywhere(encoder: Path, tmp_path: Path) -> None:
    def fingerprint(home: Path) -> str:
        architecture = load(home / "architecture.json")
        return architecture.fingerprint(weights_hashes(architecture), "fp32")

    prints = []
    for home in (tmp_path / "here", tmp_path / "there"):
        shutil.copytree(encoder, home / "towers" / "minilm")
        data = small_bert.data("bibert", encoder) | {"name": "small"}
        data["towers"]["minilm"]["weights"] = "towers/minilm"
        (home / "architecture.json").write_text(json.dumps(data))
        prints.append(fingerprint(home))
    assert prints[0] == prints[1]
    changed = tmp_path / "there" / "towers" / "minilm" / "config.json"
    changed.write_text(changed.read_text() + "\n")
    assert fingerprint(tmp_path / "there") not in prints


def test_what_is_written_is_read_with_the_same_weights(encoder: Path) -> None:
    module = encoders.build(*_tower(encoder))
    written = load_file(encoder / "model.safetensors")
    for name, value in module.encoder.state_dict().items():
        assert torch.equal(value, written[name])
    vectors = module(torch.tensor([[2, 4, 3]]), torch.ones(1, 3, dtype=torch.int64)).detach()
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(1))


def _tower(encoder: Path) -> tuple[encoders.Architecture, encoders.Tower]:
    architecture = small_bert.architecture("bibert", encoder)
    return architecture, architecture.towers["minilm"]


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_that_lacks_a_file_is_one_sentence(encoder: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(encoder, tmp_path / "copy")
    (tmp_path / "copy" / name).unlink()
    with pytest.raises(WeightsError, match=f"got no {name} in"):
        encoders.build(*_tower(tmp_path / "copy"))


def test_another_pooling_is_refused(encoder: Path, tmp_path: Path) -> None:
    shutil.copytree(encoder, tmp_path / "copy")
    modes = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (tmp_path / "copy" / "1_Pooling" / "config.json").write_text(json.dumps(modes))
    with pytest.raises(WeightsError, match="expected an encoder with mean pooling"):
        encoders.build(*_tower(tmp_path / "copy"))


@pytest.mark.parametrize(
    ("value", "moving"),
    [
        (None, Moving()),
        ("frozen", Moving()),
        ("all", Moving("all")),
        ({"last": 2}, Moving("last", last=2)),
        ({"lora": {"rank": 4, "alpha": 8}}, Moving("lora", rank=4, alpha=8)),
    ],
)
def test_what_moves_is_read(encoder: Path, value: object, moving: Moving) -> None:
    found = small_bert.architecture("bibert", encoder, value).towers["minilm"]
    assert found.moving == moving
    assert "train" not in found.numbers
    assert bool(found.moving) == (value not in (None, "frozen"))


@pytest.mark.parametrize(
    "value", ["some", {"last": 0}, {"last": True}, {"last": 1, "first": 2}, {"lora": {"rank": 4}}, 2]
)
def test_what_moves_otherwise_is_refused(encoder: Path, value: object) -> None:
    with pytest.raises(ArchitectureError, match="expected `train` of tower minilm as"):
        small_bert.architecture("bibert", encoder, value)


def test_a_tower_that_only_names_classes_needs_no_slot() -> None:
    data = dict(load("4tmm_cat").data)
    frozen = data["towers"]["minilm"]
    data["towers"] = data["towers"] | {
        "frozen": frozen,
        "lite0": data["towers"]["lite0"] | {"names_by": "frozen"},
    }
    assert parse(data).slots_of("frozen") == ()
