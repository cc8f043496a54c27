"""CLIPs by open_clip's names, in their true size with random weights, on the real Triton."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import save_file
from sample_data.furniture import write_catalog

from mmsearch.cli.main import cli
from mmsearch.config import cache_folder
from mmsearch.models.architecture import load
from mmsearch.models.fusion import registry
from mmsearch.models.named import named
from mmsearch.serving.pictures.images import decode
from mmsearch.serving.pictures.pixels import Frame
from mmsearch.stack import embedded
from mmsearch.stack.state import Home
from mmsearch.training.loop import Run
from mmsearch.training.objective import Training
from mmsearch.training.pairs import Pair, ProductInput, features
from mmsearch.training.recipes.joint import joint
from mmsearch.training.towers.pick import moving_tower

from ..fakes.encoded import embeddings

pytestmark = [pytest.mark.integration, pytest.mark.slow]
TEXTS = ["A Red  chair, isn't it?", "Bücherregal 120cm", "lamp", "word " * 100, "a sofa & two cushions"]


def created(name: str, folder: Path) -> tuple[Any, Path]:
    """Return a CLIP as open_clip creates it with random weights, and its checkpoint's file."""
    torch.manual_seed(0)
    # The normalization of the published weights, which a checkpoint's file does not have.
    (tag,) = open_clip.list_pretrained_tags_by_model(name)[-1:]
    seen = open_clip.get_pretrained_cfg(name, tag)
    model = open_clip.create_model(
        name, pretrained=None, pretrained_text=False,
        force_preprocess_cfg={key: seen[key] for key in ("mean", "std")},
    ).eval()  # fmt: skip
    file = folder / f"{name}.safetensors"
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, file)
    return model, file


def pictures(folder: Path) -> list[bytes]:
    """Pictures of furniture, as many as there are texts."""
    lines = write_catalog(folder, cache_folder()).read_text(encoding="utf-8").splitlines()
    return [(folder / json.loads(line)["image"]).read_bytes() for line in lines[:: len(lines) // 5]][:5]


def agree(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    assert (ours * theirs).sum(1).min() >= 0.9999
    # With random weights, vectors of different inputs are close: what differs between them agrees too.
    ours, theirs = ours - theirs.mean(0), theirs - theirs.mean(0)
    assert np.abs(ours - theirs).max() < 0.02 * np.abs(theirs).max()


@pytest.mark.parametrize("name", ["ViT-B-32", "MobileCLIP2-S0"])
def test_what_is_served_is_what_open_clip_answers(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, file = created(name, tmp_path)
    images = pictures(tmp_path)
    # Exports of random weights are of no use to others.
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path / "cache"))
    # Other runtimes may compute in bf16, which is less exact.
    for role in ("QUERY", "ITEM", "PICTURE"):
        monkeypatch.setenv(f"MMSEARCH_{role}_RUNTIME", "onnxruntime")
    home = Home.at(tmp_path / "home")
    command = ["models", "build", "--architecture", name, "--weights", str(file), "--precision", "fp32"]
    built = CliRunner().invoke(cli, [*command, "--repository", str(home.models)])
    assert built.exit_code == 0, built.output
    with embedded.borrowed(home, ("triton",), ready_within=300) as ports:
        address = f"127.0.0.1:{ports.triton_grpc}"
        queries = embeddings(address, "query_encoder", TEXTS, [b""] * len(TEXTS))
        items = embeddings(address, "item_encoder", [""] * len(images), images)
    image = load(name).towers["image"].numbers
    pixels = [decode(each, Frame(image["size"], image["fit"])) for each in images]
    preprocess = open_clip.image_transform(
        image["size"], is_train=False, mean=model.visual.image_mean, std=model.visual.image_std
    )
    with torch.inference_mode():
        said = model.encode_text(open_clip.get_tokenizer(name)(TEXTS), normalize=True)
        seen = model.encode_image(
            torch.stack([preprocess(Image.fromarray(each)) for each in pixels]), normalize=True
        )
    agree(queries, said.numpy())
    agree(items, seen.numpy())


@pytest.mark.parametrize("name", ["ViT-B-32", "MobileCLIP2-S0"])
@pytest.mark.parametrize("train", [{"last": 2}, "all"])
def test_a_step_of_its_training_moves_both_towers(name: str, train: Any, tmp_path: Path) -> None:
    _, file = created(name, tmp_path)
    products, pairs = [], []
    for number, image in enumerate(pictures(tmp_path)):
        (tmp_path / f"{number}.image").write_bytes(image)
        products.append(ProductInput(str(number), "", tmp_path / f"{number}.image", str(number)))
        pairs.append(Pair(f"{TEXTS[2]} {number}", str(number), 1.0))
    architecture = joint(named(name, str(file)), train)
    towers = {key: moving_tower(tower) for key, tower in architecture.towers.items()}
    data = features(architecture, products, pairs, pytest.fail, moving=towers)
    numbers = Training.of(architecture.data["training"] | {"holdout": 0.0})
    with contextlib.closing(Run(registry.build(architecture), data, numbers, torch.device("cpu"))) as run:
        before = {key: value.detach().clone() for key, value in run.state().items()}
        assert 0 < run.advance() < float("inf")
        moved = {
            key.split(".")[1] for key, value in run.state().items() if not torch.equal(before[key], value)
        }
    assert moved == {"text", "image"}
