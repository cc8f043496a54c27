"""Real CLIP loading without CLIP's weights: a small random model, by config and local checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch

from mmsearch.errors import WeightsError
from mmsearch.models import architecture as architectures
from mmsearch.models.towers.encoders import build as build_tower
from mmsearch.models.towers.tokenizer_files import write_tokenizer
from mmsearch.serving.tokens import Tokens

from ..fakes.small_clip import beside_minilm

TEXTS = ["A Red  chair, isn't it?", "Bücherregal 120cm", "lamp", "word " * 100]


@pytest.fixture(scope="module")
def clip_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A 4tMM architecture whose picture half is a small CLIP out of local files."""
    return beside_minilm(tmp_path_factory.mktemp("clip"))


def test_the_checkpoint_comes_back_unchanged(clip_data: dict[str, Any]) -> None:
    architecture = architectures.parse(clip_data)
    first, again = (build_tower(architecture, architecture.towers["words"]) for _ in range(2))
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    torch.manual_seed(5)
    made = open_clip.create_model("Small-CLIP", pretrained=None, pretrained_text=False)
    assert torch.equal(made.state_dict()["visual.proj"], first.state_dict()["model.visual.proj"])


def test_the_served_tokenizer_is_open_clips(clip_data: dict[str, Any], tmp_path: Path) -> None:
    write_tokenizer(architectures.parse(clip_data).towers["words"], tmp_path / "tokenizer.json")
    ids, _ = Tokens(tmp_path / "tokenizer.json", 77, 77)(TEXTS)
    np.testing.assert_array_equal(ids, open_clip.SimpleTokenizer()(TEXTS).numpy())


def test_a_pickled_checkpoint_is_refused(clip_data: dict[str, Any], tmp_path: Path) -> None:
    data = json.loads(json.dumps(clip_data))
    (tmp_path / "weights.pt").write_bytes(b"pickle")
    for name in ("words", "pictures"):
        data["towers"][name]["weights"] = str(tmp_path / "weights.pt")
    architecture = architectures.parse(data)
    with pytest.raises(WeightsError, match=r"or a \.safetensors file or a folder"):
        build_tower(architecture, architecture.towers["words"])
