"""The open_clip model that a tower names, whichever way: a tag, a checkpoint's file, or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mmsearch.errors import WeightsError
from mmsearch.models.architecture import Tower
from mmsearch.models.weights import OPEN_CLIP

PICKLED = (".bin", ".pt", ".pth")


def load(tower: Tower) -> Any:
    """The open_clip model that a tower names, in evaluation mode; raises WeightsError."""
    import open_clip

    if tower.weights.startswith(OPEN_CLIP):
        pretrained: str | None = tower.weights.removeprefix(OPEN_CLIP) or None
    elif tower.weights.endswith(".safetensors"):
        pretrained = tower.weights
    elif _is_safe(Path(tower.weights)):
        pretrained = None
    else:
        raise WeightsError(
            f"expected {OPEN_CLIP}TAG or a .safetensors file or a folder with one and no pickled ones as the "
            f"weights of {tower.name}, got {tower.weights!r}; save the checkpoint as safetensors"
        )
    # The fused attention of torch's own layers has no ONNX form.
    torch.backends.mha.set_fastpath_enabled(False)
    # `pretrained_text` would otherwise look for the text tower's weights in a hub.
    return open_clip.create_model(model_name(tower), pretrained=pretrained, pretrained_text=False).eval()


def model_name(tower: Tower) -> str:
    """What open_clip calls the model that a tower names; raises WeightsError."""
    import open_clip

    if not tower.weights.startswith(OPEN_CLIP) and Path(tower.weights).is_dir():
        if not (Path(tower.weights) / "open_clip_config.json").is_file():
            raise WeightsError(
                f"expected open_clip_config.json in {tower.weights}, the weights of {tower.name}, got none; "
                "add it, or name the .safetensors file and its `model`"
            )
        return f"local-dir:{tower.weights}"
    if "model" not in tower.numbers:
        raise WeightsError(
            f"expected the `model` of {tower.name}, got none; name an open_clip model, or a folder of one as "
            "`weights`"
        )
    name = str(tower.numbers["model"])
    if name.endswith(".json"):
        open_clip.add_model_config(Path(name))
        name = Path(name).stem
    return name


def _is_safe(folder: Path) -> bool:
    """Whether a folder has safetensors and no pickles, which open_clip may prefer."""
    pickled = any(list(folder.glob(f"*{ending}")) for ending in PICKLED)
    return bool(list(folder.glob("*.safetensors"))) and not pickled
