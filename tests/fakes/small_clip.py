"""Small CLIP models with random weights, made by open_clip and saved to local files: no hub is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file

from mmsearch.models import architecture as architectures

SIZE, DIMENSION = 32, 24
CONFIG = {
    "embed_dim": DIMENSION,
    "vision_cfg": {"image_size": SIZE, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


def towers(folder: Path) -> dict[str, Any]:
    """Both towers of a CLIP by config and checkpoint, as an architecture's data names them."""
    config, checkpoint = folder / "Small-CLIP.json", folder / "small.safetensors"
    config.write_text(json.dumps(CONFIG))
    open_clip.add_model_config(config)
    torch.manual_seed(5)
    model = open_clip.create_model("Small-CLIP", pretrained=None, pretrained_text=False)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, checkpoint)
    clip = {"weights": str(checkpoint), "model": str(config), "dimension": DIMENSION}
    return {
        "words": clip | {"kind": "open_clip_text", "max_tokens": 77, "pad_to": 77},
        "pictures": clip | {"kind": "open_clip_image", "size": SIZE, "fit": "crop"},
    }


def described(folder: Path, **seen: Any) -> Path:
    """The same CLIP as a hub keeps one: a new folder with open_clip's config and the weights. `seen` is its
    `preprocess_cfg`.
    """
    folder.mkdir(parents=True)
    config = {"model_cfg": CONFIG, "preprocess_cfg": seen}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    towers(folder)
    (folder / "small.safetensors").rename(folder / "open_clip_model.safetensors")
    (folder / "Small-CLIP.json").unlink()
    return folder


def alone(folder: Path) -> dict[str, Any]:
    """The architecture `clip` on a small CLIP: its words against its pictures."""
    data = dict(architectures.load("clip").data) | {"name": "small_clip"}
    data["towers"] = towers(folder)
    data["slots"] = {"clip_text": "words", "clip_image": "pictures"}
    sizes = dict.fromkeys(("text_dimension", "image_dimension", "dimension"), DIMENSION)
    return data | {"fusion": data["fusion"] | sizes}


def beside_minilm(folder: Path) -> dict[str, Any]:
    """A 4tMM architecture whose picture half is a small CLIP."""
    data = dict(architectures.load("4tmm_mlp").data) | {"name": "small_4tmm"}
    data["towers"] = {"minilm": data["towers"]["minilm"]} | towers(folder)
    data["slots"] = data["slots"] | {"clip_text": "words", "clip_image": "pictures"}
    sizes = {"image_dimension": DIMENSION, "dimension": 384 + DIMENSION, "axes": 8, "hidden": 16}
    return data | {"fusion": data["fusion"] | sizes}
