"""CLIP towers that move: a small CLIP with random weights learns, is resumed, and is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from mmsearch.errors import ArchitectureError, TrainingError
from mmsearch.models import architecture as architectures
from mmsearch.models.architecture import Architecture
from mmsearch.models.fusion import registry
from mmsearch.models.towers import encoders
from mmsearch.serving.pictures.pixels import Frame
from mmsearch.training.loop import Run, Trained, train
from mmsearch.training.objective import Features, Training
from mmsearch.training.output import served_data, write
from mmsearch.training.pairs import Pair, ProductInput, features
from mmsearch.training.recipes.joint import CLIP_RATE, joint
from mmsearch.training.towers.pick import moving_tower
from mmsearch.training.towers.picture_store import PictureStore

from ..fakes import small_clip
from ..fakes.small_training import CPU, interrupted

COUNT = 48
WORDS = ["red", "blue", "oak", "old", "chair", "table", "lamp", "sofa"]
NUMBERS = {
    "steps": 8, "batch": 24, "tower_rate": 1e-3, "tower_decay": 0.0, "evaluate_every": 4, "single": 0.0,
    "modality_dropout": 0.0, "holdout": 0.2, "patience": 9, "seed": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return small_clip.alone(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> list[ProductInput]:
    """Products with pictures of coarse random patches."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    found = []
    for number in range(COUNT):
        patches = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        file = folder / f"{number}.png"
        Image.fromarray(patches).resize((64, 64), Image.Resampling.NEAREST).save(file)
        found.append(ProductInput(str(number), "", file, str(number)))
    return found


def pairs() -> list[Pair]:
    return [
        Pair(f"{WORDS[number % 8]} {WORDS[number // 8]} {number}", str(number), 1.0)
        for number in range(COUNT)
    ]


def moving(clip: dict[str, Any], train: Any = "all", **numbers: Any) -> Architecture:
    data = json.loads(json.dumps(clip))
    for tower in data["towers"].values():
        tower["train"] = train
    return architectures.parse(data | {"training": NUMBERS | numbers})


def joined(architecture: Architecture, products: list[ProductInput], say: Any = print) -> Features:
    towers = {name: moving_tower(tower) for name, tower in architecture.towers.items() if tower.moving}
    return features(architecture, products, pairs(), say, moving=towers)


def run_of(architecture: Architecture, products: list[ProductInput]) -> Run:
    torch.manual_seed(0)
    numbers = Training.of(architecture.data["training"])
    return Run(registry.build(architecture), joined(architecture, products), numbers, CPU)


def trained(architecture: Architecture, products: list[ProductInput], folder: Path | None = None) -> Trained:
    torch.manual_seed(0)
    numbers = Training.of(architecture.data["training"])
    data = joined(architecture, products)
    return train(registry.build(architecture), data, numbers, device=CPU, folder=folder)


def test_the_loss_falls(clip: dict[str, Any], products: list[ProductInput]) -> None:
    """The integration layer has a training until all pictures are known by heart."""
    run = run_of(moving(clip, batch=48, holdout=0.0, tower_rate=3e-3), products)
    losses = [run.advance() for _ in range(8)]
    run.close()
    assert sum(losses[-2:]) < 0.95 * sum(losses[:2])


@pytest.mark.parametrize("train", ["all", {"last": 1}])
def test_an_interrupted_training_continues_bit_for_bit(
    clip: dict[str, Any], products: list[ProductInput], tmp_path: Path, train: Any
) -> None:
    architecture = moving(clip, train, passes=3.0, threads=1)
    whole = trained(architecture, products, tmp_path / "whole")
    interrupted(run_of(architecture, products), tmp_path / "cut")
    resumed = trained(architecture, products, tmp_path / "cut")
    assert resumed.gain == whole.gain
    assert (tmp_path / "whole" / "checkpoint.safetensors").read_bytes() == (
        tmp_path / "cut" / "checkpoint.safetensors"
    ).read_bytes()


def test_the_last_layer_moves_with_the_projection_alone(
    clip: dict[str, Any], products: list[ProductInput]
) -> None:
    run = run_of(moving(clip, {"last": 1}), products)
    assert run.moving is not None
    names = {name.split(".", 1)[1] for name in run.moving.state()}
    run.moving.close()
    assert {name for name in names if "resblocks" not in name} == {
        *(f"model.ln_final.{part}" for part in ("weight", "bias")),
        *(f"model.visual.ln_post.{part}" for part in ("weight", "bias")),
        "model.text_projection", "model.visual.proj",
    }  # fmt: skip
    assert all("resblocks.1." in name for name in names if "resblocks" in name)


@pytest.mark.parametrize("chunk", [5, 24])
def test_slices_change_images_as_the_gradients_need_it(
    clip: dict[str, Any], products: list[ProductInput], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmsearch.training.towers.autocast.multiplies_bfloat16", lambda: False)
    monkeypatch.setattr("mmsearch.training.towers.picture_store.SMALLEST", 1.0)
    whole, slices = (run_of(moving(clip, chunk=size), products) for size in (0, chunk))
    assert slices.advance() == pytest.approx(whole.advance(), rel=1e-5)
    assert whole.moving is not None
    assert slices.moving is not None
    own = slices.moving.state()
    for key, parameter in whole.moving.state().items():
        torch.testing.assert_close(own[key].grad, parameter.grad, atol=1e-5, rtol=1e-3)
    whole.moving.close()
    slices.moving.close()


def test_images_are_changed_in_training_alone(products: list[ProductInput]) -> None:
    store = PictureStore([each.picture for each in products], 32, "crop", pytest.fail)
    every = torch.arange(COUNT)

    def read(seed: int | None) -> torch.Tensor:
        store.change(seed)
        return torch.cat([inputs[0] for _, inputs in store.batches(every)])

    plain, changed = read(None), read(7)
    assert torch.equal(read(None), plain)
    assert torch.equal(read(7), changed)
    assert not torch.equal(read(8), changed)
    for seed in (None, 7):
        store.change(seed)
        for _, (pixels,) in store.batches(every):
            assert pixels.permute(0, 3, 1, 2).is_contiguous(), "torch crashes on channels that come last"
    store.close()
    assert changed.shape == (COUNT, 32, 32, 3)
    # Cropped by a tenth at most: its colours are those of the image.
    difference = changed.float().mean((1, 2)) - plain.float().mean((1, 2))
    assert difference.abs().max() < 25
    assert not torch.equal(changed, plain)


def test_products_without_an_image_that_decodes_have_none(
    clip: dict[str, Any], products: list[ProductInput], tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    said: list[str] = []
    # No tower reads their text.
    given = [*products[:-2], ProductInput("46", "lamp", None, "46")]
    given.append(ProductInput("47", "lamp", tmp_path / "broken.png", "47"))
    data = joined(moving(clip, {"last": 1}), given, said.append)
    assert data.item_image.flatten().tolist() == [1.0] * 46 + [0.0, 1.0]
    assert 46 not in data.pairs[:, 1].tolist()
    assert data.moving is not None
    for _ in range(2):
        rows = data.rows("item_image", torch.tensor([47, 0, 46, 0]))
    data.moving.close()
    assert rows.norm(dim=1).tolist() == pytest.approx([0, 1, 0, 1])
    assert said[0].startswith("1 of 48 pairs are left out, whose products have neither")
    assert len(said) == 2
    assert said[1].startswith("47 trains without its picture: expected")
    with pytest.raises(TrainingError, match="expected products with a text or an image"):
        joined(moving(clip), [ProductInput(each.identifier, "", None, each.group) for each in products])


def test_what_is_written_is_read_by_open_clip_and_built(
    clip: dict[str, Any], products: list[ProductInput], tmp_path: Path
) -> None:
    architecture = moving(clip, holdout=0.0)
    data = served_data(architecture, tmp_path)
    assert {tower["weights"] for tower in data["towers"].values()} == {"towers/words"}
    (tmp_path / "architecture.json").write_text(json.dumps(data))
    result = trained(architecture, products)
    write(result, architecture, tmp_path)
    assert result.moving is not None
    theirs = open_clip.create_model(
        f"local-dir:{tmp_path / 'towers' / 'words'}", pretrained_text=False
    ).eval()
    served = architectures.load(tmp_path / "architecture.json")
    texts = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'towers' / 'words'}")([p.query for p in pairs()])
    words = encoders.build(served, served.towers["words"])
    pictures = encoders.build(served, served.towers["pictures"])
    pixels = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8)
    with torch.inference_mode():
        said, ours = theirs.encode_text(texts, normalize=True), words(texts, torch.ones_like(texts))
        torch.testing.assert_close(ours, said, atol=1e-5, rtol=1e-4)
        moved = [result.moving.towers[name].module for name in ("words", "pictures")]
        torch.testing.assert_close(moved[0](texts, torch.ones_like(texts)), ours, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(moved[1](pixels), pictures(pixels), atol=1e-5, rtol=1e-4)
    before = encoders.build(architecture, architecture.towers["pictures"])
    with torch.inference_mode():
        assert not torch.allclose(before(pixels), pictures(pixels), atol=1e-3)


def test_adapters_and_a_fitted_fusion_are_refused(
    clip: dict[str, Any], products: list[ProductInput], tmp_path: Path
) -> None:
    lora = moving(clip, {"lora": {"rank": 2, "alpha": 4}}).towers["pictures"]
    with pytest.raises(ArchitectureError, match=r"of the CLIP tower pictures .* got lora"):
        moving_tower(lora)
    data = small_clip.beside_minilm(tmp_path)
    data["towers"]["pictures"]["train"] = {"last": 1}
    data["training"] = NUMBERS
    with pytest.raises(TrainingError, match="expected a frozen image tower beside the fusion"):
        joined(architectures.parse(data), products)


def test_both_towers_of_a_clip_move_by_default(clip: dict[str, Any], tmp_path: Path) -> None:
    found = joint(architectures.parse(clip))
    assert {name: tower.moving.last for name, tower in found.towers.items()} == {"words": 2, "pictures": 2}
    assert found.data["training"]["tower_rate"] == CLIP_RATE
    beside = joint(architectures.parse(small_clip.beside_minilm(tmp_path)))
    assert {name for name, tower in beside.towers.items() if tower.moving} == {"minilm"}


def test_the_frame_is_that_of_the_tower(products: list[ProductInput]) -> None:
    whole = PictureStore([products[0].picture], 16, "pad", pytest.fail)
    assert whole.fingerprint() != PictureStore([products[0].picture], 16, "crop", pytest.fail).fingerprint()
    ((_, (pixels,)),) = whole.batches(torch.tensor([0]))
    whole.close()
    assert pixels.shape == (1, Frame(16).size, 16, 3)
