"""Write a CLIP as open_clip reads it from a folder: its config, weights and tokenizer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from mmsearch.models.architecture import Tower
from mmsearch.models.clip_description import CONFIG
from mmsearch.models.towers import checkpoints, tokenizer_files


def write_clip(tower: Tower, changed: Mapping[str, Tensor], folder: Path) -> None:
    """Write the CLIP of a tower with changed weights, by their names in open_clip, into the new `folder`.

    The same weights give the same bytes.
    """
    import open_clip

    model = checkpoints.load(tower)
    named = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in changed.items():
            named[name].copy_(value)
    folder.mkdir(parents=True)
    home = checkpoints.home(tower)
    if home is not None:
        # The tokenizer's files lie beside the config.
        for file in home.iterdir():
            if file.is_file() and file.suffix != ".safetensors":
                shutil.copyfile(file, folder / file.name)
    else:
        name = checkpoints.model_name(tower)
        described: dict[str, Any] = dict(open_clip.get_model_config(name) or {})
        if checkpoints.has_quick_gelu(tower):
            described["quick_gelu"] = True
        seen = {
            key: value
            for key, value in open_clip.get_model_preprocess_cfg(model).items()
            if key in ("mean", "std", "interpolation", "resize_mode")
        }
        config = json.dumps({"model_cfg": described, "preprocess_cfg": seen}, indent=2)
        (folder / CONFIG).write_text(config + "\n", encoding="utf-8")
        theirs = getattr(tokenizer_files.tokenizer_of(tower, model), "tokenizer", None)
        if theirs is not None:
            theirs.save_pretrained(folder)
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}
    save_file(tensors, folder / checkpoints.TENSORS[0], metadata={"format": "pt"})
