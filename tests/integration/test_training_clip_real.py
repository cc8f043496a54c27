"""A CLIP pair exported and trained through: what is served answers as torch does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from mmsearch.models import architecture as architectures
from mmsearch.models.build import build
from mmsearch.serving.tokens import Tokens
from mmsearch.training.loop import train
from mmsearch.training.objective import Training
from mmsearch.training.pairs import Pair, ProductInput, features

from ..fakes.small_clip import beside_minilm


@pytest.fixture
def clip_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A 4tMM architecture whose picture half is a small CLIP out of local files."""
    return beside_minilm(tmp_path_factory.mktemp("clip"))


@pytest.mark.integration
def test_it_is_exported_trained_through_and_answers_as_torch_does(
    clip_data: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Path.home() / ".cache" / "mmsearch" / "models"
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path / "cache"))
    for minilm in shared.glob("minilm-*"):
        # The text tower's export takes half a minute and is not what is tested here.
        shutil.copytree(minilm, tmp_path / "cache" / "models" / minilm.name)
    architecture = architectures.parse(clip_data)
    picture = tmp_path / "one.png"
    from PIL import Image

    Image.new("RGB", (40, 30), (200, 30, 30)).save(picture)
    products = [ProductInput(f"p{number}", f"thing {number}", picture, str(number)) for number in range(8)]
    pairs = [Pair(f"query {number}", f"p{number}", 1.0) for number in range(8)]
    torch.manual_seed(0)
    from mmsearch.models.fusion import registry

    fusion = registry.build(architecture)
    data = features(architecture, products, pairs, print)
    trained = train(
        fusion, data, Training(steps=4, evaluate_every=2, holdout=0.25), device=torch.device("cpu")
    )
    weights = tmp_path / "fusion.safetensors"
    save_file({name: value.contiguous() for name, value in trained.fusion.state_dict().items()}, weights)
    built = build(architecture, "fp32", print, weights)
    with np.load(built.folder / "golden.npz") as opened:
        golden = dict(opened)

    def run(file: Path, **feeds: np.ndarray) -> np.ndarray:
        found: np.ndarray = onnxruntime.InferenceSession(file).run(None, feeds)[0]
        return found

    def words(name: str, pad_to: int | None) -> np.ndarray:
        tokens = Tokens(built.towers[name].tokenizer, 77, pad_to)
        ids, mask = tokens(golden["TEXTS"].tolist())
        return run(built.towers[name].onnx("fp32"), INPUT_IDS=ids, ATTENTION_MASK=mask)

    text, said = words("minilm", None), words("words", 77)
    seen = run(built.towers["pictures"].onnx("fp32"), PIXELS=golden["PIXELS"])
    query = run(built.folder / "fusion_query.onnx", TEXT=text, CLIP_TEXT=said, IMAGE=np.zeros_like(seen))
    item = run(built.folder / "fusion_item.onnx", TEXT=text, IMAGE=seen)
    assert query.shape[1] == item.shape[1] == 408
    assert (query * golden["QUERY"]).sum(1).min() >= 0.9999
    assert (item * golden["ITEM"]).sum(1).min() >= 0.9999
