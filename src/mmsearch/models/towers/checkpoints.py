"""Load the open_clip model of a tower by tag, checkpoint file or folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mmsearch.errors import WeightsError
from mmsearch.models.architecture import Tower
from mmsearch.models.weights import OPEN_CLIP

PICKLED = (".bin", ".pt", ".pth")


def load(tower: Tower) -> Any:
    """Return the tower's open_clip model in evaluation mode. Raise WeightsError."""
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
    # Torch's fused attention cannot be exported to ONNX.
    torch.backends.mha.set_fastpath_enabled(False)
    # With `pretrained_text`, open_clip would look for the text tower's weights on a hub.
    return open_clip.create_model(model_name(tower), pretrained=pretrained, pretrained_text=False).eval()


def model_name(tower: Tower) -> str:
    """Return open_clip's name of the tower's model. Raise WeightsError."""
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
    """Return whether a folder has safetensors and no pickle files, which open_clip may prefer."""
    pickled = any(list(folder.glob(f"*{ending}")) for ending in PICKLED)
    return bool(list(folder.glob("*.safetensors"))) and not pickled
