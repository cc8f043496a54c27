"""A CLIP by its name: open_clip's, a hub's, or a folder's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from huggingface_hub import constants

from mmsearch.errors import ArchitectureError, WeightsError
from mmsearch.models import clip_description, hub
from mmsearch.models.architecture import Architecture, load, parse
from mmsearch.models.export.export_cache import weights_hashes
from mmsearch.models.named import named
from mmsearch.models.towers import checkpoints
from mmsearch.models.towers.encoders import build, write_tokenizer

from ..fakes import fake_hub, small_clip

NAMES = ("ViT-B-32", "ViT-L-14", "ViT-B-16-SigLIP2", "MobileCLIP2-S0")
SEEN = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "resize_mode": "squash"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_clip.described(tmp_path_factory.mktemp("clip") / "small-clip", **SEEN)


@pytest.fixture
def model_hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[fake_hub.Hub]:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with fake_hub.serving({"shop/small-clip": folder}) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


@pytest.mark.parametrize("name", NAMES)
def test_a_data_file_has_the_numbers_of_open_clips_config(name: str) -> None:
    """The tag's own mean, deviation and fit, and the model's own sizes."""
    data = load(name).data
    tag = data["towers"]["text"]["weights"].removeprefix("open_clip:")
    seen = open_clip.get_pretrained_cfg(name, tag)
    config = {"model_cfg": open_clip.get_model_config(name), "preprocess_cfg": seen}
    theirs = clip_description.built(name, f"open_clip:{tag}", config)
    for tower in theirs["towers"].values():
        tower["model"] = name
    theirs["towers"]["image"] |= {"mean": list(seen["mean"]), "std": list(seen["std"])}
    assert theirs == data


def image_of(architecture: Architecture) -> Any:
    return build(architecture, architecture.towers["image"])


def test_a_folder_is_a_clip_by_its_own_config(folder: Path) -> None:
    architecture = named(str(folder))
    assert (architecture.name, architecture.fusion.dimension) == ("small-clip", small_clip.DIMENSION)
    image = architecture.towers["image"]
    assert image.numbers == {"size": small_clip.SIZE, "fit": "squash"}
    assert architecture.towers["text"].numbers == {"max_tokens": 77, "pad_to": 77}
    assert image_of(architecture).mean.ravel().tolist() == pytest.approx(SEEN["mean"])


def test_a_hubs_clip_is_pinned_to_its_commit_and_built_as_its_folder_is(
    model_hub: fake_hub.Hub, folder: Path, tmp_path: Path
) -> None:
    architecture = named("hf-hub:shop/small-clip")
    assert architecture.name == "small-clip"
    pinned = f"hf-hub:shop/small-clip@{fake_hub.COMMIT}"
    assert {tower.weights for tower in architecture.towers.values()} == {pinned}
    assert model_hub.sent == ["open_clip_config.json"]  # the weights are not needed yet
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8))
    with torch.inference_mode():
        torch.testing.assert_close(image_of(architecture)(pixels), image_of(named(str(folder)))(pixels))
    write_tokenizer(architecture.towers["text"], tmp_path / "tokenizer.json")
    assert (tmp_path / "tokenizer.json").stat().st_size > 100_000
    assert model_hub.sent == ["open_clip_config.json", "open_clip_model.safetensors"]
    # What is downloaded and pinned needs the hub no more.
    hashed = weights_hashes(architecture)
    model_hub.models.clear()
    assert weights_hashes(parse(architecture.data)) == hashed
    assert image_of(architecture).mean.ravel().tolist() == pytest.approx(SEEN["mean"])


def test_a_hub_without_the_model_or_without_its_safetensors_is_one_sentence(
    model_hub: fake_hub.Hub, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match="expected hf-hub:shop/none from a model hub, got Repo") as refused:
        named("hf-hub:shop/none")
    assert "\n" not in str(refused.value)
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "open_clip_config.json").write_bytes((folder / "open_clip_config.json").read_bytes())
    (pickled / "open_clip_pytorch_model.bin").write_bytes(b"pickle")
    model_hub.models["shop/pickled"] = pickled
    with pytest.raises(
        WeightsError, match=r"expected open_clip_model.safetensors or .* got neither; convert"
    ):
        image_of(named("hf-hub:shop/pickled"))
    (pickled / "open_clip_config.json").write_text('{"model_cfg": {}}')
    with pytest.raises(
        WeightsError, match="with model_cfg, embed_dim, text_cfg and vision_cfg, got KeyError"
    ):
        named(str(pickled))


def test_without_a_hub_the_repair_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with fake_hub.serving({}) as gone:
        monkeypatch.setenv("HF_ENDPOINT", gone.url)
    with pytest.raises(WeightsError, match=r"from a model hub, got .*name its folder"):
        named("hf-hub:shop/small-clip")
    # open_clip's own downloads do not read the variable.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    architecture = load("ViT-B-32")
    with pytest.raises(WeightsError) as refused:
        image_of(architecture)
    assert "expected the weights laion2b_s34b_b79k of ViT-B-32 for tower image, got " in str(refused.value)
    assert "give a .safetensors file of this model or a folder with one" in str(refused.value)


def test_given_weights_are_those_of_every_clip_tower(
    folder: Path, tmp_path: Path, model_hub: fake_hub.Hub
) -> None:
    def weights(given: str) -> set[str]:
        return {tower.weights for tower in named("ViT-B-32", given).towers.values()}

    file = folder / "open_clip_model.safetensors"
    assert weights(str(file)) == {str(file.resolve())}
    assert weights(str(folder)) == {str(folder.resolve())}
    assert weights("datacomp_xl_s13b_b90k") == {"open_clip:datacomp_xl_s13b_b90k"}
    assert weights("hf-hub:shop/small-clip") == {f"hf-hub:shop/small-clip@{fake_hub.COMMIT}"}
    with pytest.raises(WeightsError, match=r"or a local path, got '.*absent.safetensors'"):
        weights_hashes(named("ViT-B-32", str(tmp_path / "absent.safetensors")))
    with pytest.raises(WeightsError, match=r"of ViT-B-32 out of openai, .* got the tag 'laion3b'; name one"):
        image_of(named("ViT-B-32", "laion3b"))
    with pytest.raises(
        ArchitectureError, match=r"an architecture with CLIP towers .* got 4tmm_cat; name one"
    ):
        named("4tmm_cat", str(file))


def test_a_file_is_normalized_by_the_data_and_a_folder_by_its_own_config(folder: Path) -> None:
    data = small_clip.alone(folder.parent)
    data["towers"]["pictures"] |= {"mean": [0.0] * 3, "std": [1.0] * 3}
    architecture = parse(data)
    built = build(architecture, architecture.towers["pictures"])
    assert built.mean.ravel().tolist() == [0.0] * 3  # type: ignore[union-attr, operator]
    data = json.loads(json.dumps(data))
    data["towers"]["pictures"]["weights"] = str(folder)
    architecture = parse(data)
    built = build(architecture, architecture.towers["pictures"])
    assert built.mean.ravel().tolist() == pytest.approx(SEEN["mean"])  # type: ignore[union-attr, operator]


def test_weights_have_the_activation_that_they_were_trained_with(folder: Path) -> None:
    def activation(architecture: Architecture) -> bool:
        return checkpoints.has_quick_gelu(architecture.towers["text"])

    assert activation(named("ViT-B-32", "openai"))
    assert not activation(named("ViT-B-32", "laion2b_s34b_b79k"))
    data = small_clip.alone(folder.parent)
    for quick, kind in ((True, "QuickGELU"), (False, "GELU")):
        data["towers"]["words"]["quick_gelu"] = quick
        architecture = parse(data)
        text: Any = build(architecture, architecture.towers["words"])
        assert type(text.model.transformer.resblocks[0].mlp.gelu).__name__ == kind


@pytest.mark.parametrize(
    ("change", "got"),
    [({"resize_mode": "stretch"}, "'stretch'"), ({"image_size": [224, 448]}, r"\[224, 448\]")],
)
def test_images_that_are_not_fitted_to_a_square_are_refused(change: dict[str, Any], got: str) -> None:
    vision = small_clip.CONFIG["vision_cfg"] | change  # type: ignore[operator]
    config = {"model_cfg": small_clip.CONFIG | {"vision_cfg": vision}, "preprocess_cfg": change}
    with pytest.raises(WeightsError, match=f"whose images are squares .*{got}"):
        clip_description.built("odd", "weights", config)


def test_a_commit_is_told_from_a_branch() -> None:
    assert hub.is_commit(fake_hub.COMMIT)
    assert not hub.is_commit("main")
    assert hub.pinned(f"hf-hub:shop/clip@{fake_hub.COMMIT}") == f"hf-hub:shop/clip@{fake_hub.COMMIT}"
