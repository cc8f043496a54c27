"""Tokenizers of open_clip models that are not CLIP's own, out of a local folder as a model hub keeps one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from mmsearch.errors import WeightsError
from mmsearch.models import architecture as architectures
from mmsearch.models.architecture import Architecture
from mmsearch.models.towers.encoders import build
from mmsearch.models.towers.tokenizer_files import write_tokenizer
from mmsearch.serving.tokens import Tokens

from ..fakes.small_clip import alone

WORDS = ["<pad>", "</s>", "<unk>", "[SEP]", "a", "red", "Red", "chair", "its", "it", "'", "s", "lamp"]
TEXTS = ["A RED,  chair!", "it's a_lamp\n", "Red red chair", "lamp " * 40]
LENGTH = 16


def save(folder: Path, text: dict[str, Any], *, end: str = "</s>", padding: int = 0) -> Architecture:
    """A small CLIP with a tokenizer of its own in `folder`, as the towers of an architecture."""
    data = alone(folder)
    (folder / "model").mkdir()
    words = {word: number for number, word in enumerate(WORDS)}
    words["<pad>"], words[WORDS[padding]] = padding, 0
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, words[end])]
    )
    tokenizer.save(str(folder / "model" / "tokenizer.json"))
    described = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "unk_token": "<unk>"}
    described |= {"eos_token": "</s>", "sep_token": "[SEP]"}
    (folder / "model" / "tokenizer_config.json").write_text(json.dumps(described))
    config = {
        "embed_dim": 24,
        "custom_text": True,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": LENGTH, "vocab_size": 16, "width": 32, "heads": 2, "layers": 2}
        | {"hf_tokenizer_name": "somebody/else", "no_causal_mask": True, "pool_type": "last"}
        | text,
    }
    half = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
    written = {"model_cfg": config, "preprocess_cfg": half}
    (folder / "model" / "open_clip_config.json").write_text(json.dumps(written))
    torch.manual_seed(7)
    open_clip.add_model_config(_lone(folder, config))
    model = open_clip.create_model("Lone-CLIP", pretrained=None, pretrained_text=False)
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "model" / "open_clip_model.safetensors")
    for name in ("words", "pictures"):
        data["towers"][name] = {**data["towers"][name], "weights": str(folder / "model")}
        del data["towers"][name]["model"]
    data["towers"]["words"] |= {"max_tokens": LENGTH, "pad_to": LENGTH}
    data["towers"]["pictures"]["fit"] = "squash"
    return architectures.parse(data)


def _lone(folder: Path, config: dict[str, Any]) -> Path:
    file = folder / "Lone-CLIP.json"
    file.write_text(json.dumps(config))
    return file


@pytest.mark.parametrize(
    ("text", "end", "padding"),
    [
        ({"tokenizer_kwargs": {"clean": "canonicalize"}}, "</s>", 1),  # as SigLIP is
        ({"tokenizer_kwargs": {"strip_sep_token": True}}, "[SEP]", 0),  # as CLIPA is
        ({"pool_type": "eos", "eos_id": 1}, "</s>", 0),
    ],
)
def test_a_folders_own_tokenizer_is_served_as_open_clip_uses_it(
    tmp_path: Path, text: dict[str, Any], end: str, padding: int
) -> None:
    architecture = save(tmp_path, text, end=end, padding=padding)
    tower = architecture.towers["words"]
    write_tokenizer(tower, tmp_path / "tokenizer.json")
    ids, mask = Tokens(tmp_path / "tokenizer.json", LENGTH, LENGTH)(TEXTS)
    name = f"local-dir:{tmp_path / 'model'}"
    theirs = open_clip.get_tokenizer(name)(TEXTS)
    assert len({tuple(row) for row in theirs.tolist()}) == len(TEXTS)
    if end == "</s>":
        np.testing.assert_array_equal(np.where(mask == 1, ids, padding), theirs.numpy())
    model = open_clip.create_model(name, pretrained_text=False).eval()
    with torch.inference_mode():
        ours = build(architecture, tower)(torch.from_numpy(ids), torch.from_numpy(mask))
        torch.testing.assert_close(ours, model.encode_text(theirs, normalize=True))


def test_the_folders_own_mean_and_deviation_are_the_pictures(tmp_path: Path) -> None:
    architecture = save(tmp_path, {})
    built = build(architecture, architecture.towers["pictures"])
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    model = open_clip.create_model(f"local-dir:{tmp_path / 'model'}", pretrained_text=False).eval()
    scaled = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        torch.testing.assert_close(
            built(torch.from_numpy(pixels)), model.encode_image(scaled, normalize=True), atol=1e-5, rtol=1e-4
        )


def refused(architecture: Architecture, file: Path) -> str:
    with pytest.raises(WeightsError) as why:
        write_tokenizer(architecture.towers["words"], file)
    return str(why.value)


def test_a_tokenizer_that_is_not_there_is_named_with_the_repair(tmp_path: Path) -> None:
    data = alone(tmp_path)
    config = json.loads((tmp_path / "Small-CLIP.json").read_text())
    config["text_cfg"]["hf_tokenizer_name"] = str(tmp_path / "nowhere")
    file = tmp_path / "Without-Tokenizer.json"
    file.write_text(json.dumps(config))
    data["towers"]["words"] = {**data["towers"]["words"], "model": str(file)}
    said = refused(architectures.parse(data), tmp_path / "tokenizer.json")
    assert f"expected the tokenizer {tmp_path / 'nowhere'} of words in a folder or from a hub, got " in said
    assert "let `weights` be a folder that holds open_clip_config.json" in said


def test_what_does_not_fit_the_model_is_refused(tmp_path: Path) -> None:
    architecture = save(tmp_path, {"vocab_size": 12})
    file = tmp_path / "tokenizer.json"
    assert "expected a tokenizer of 12 words for words, as its model has, got 13" in refused(
        architecture, file
    )
    data = json.loads(json.dumps(architecture.data))
    data["towers"]["words"]["pad_to"] = 8
    assert "expected max_tokens 16 and pad_to 16 for words, got 16 and 8" in refused(
        architectures.parse(data), file
    )
    (tmp_path / "model" / "open_clip_pytorch_model.bin").write_bytes(b"pickle")
    assert "a folder with one and no pickled ones" in refused(architecture, file)
    (tmp_path / "model" / "open_clip_pytorch_model.bin").unlink()
    (tmp_path / "model" / "open_clip_config.json").unlink()
    assert "expected open_clip_config.json in" in refused(architecture, file)
