"""Load the open_clip model of a tower by tag, checkpoint file, folder, or name of a hub's model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mmsearch.errors import WeightsError
from mmsearch.models import hub
from mmsearch.models.architecture import Tower
from mmsearch.models.clip_description import CONFIG
from mmsearch.models.weights import OPEN_CLIP

PICKLED = (".bin", ".pt", ".pth")
TENSORS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
"""files of a hub's model, of which open_clip loads the first before any other file"""


def load(tower: Tower) -> Any:
    """Return the tower's open_clip model in evaluation mode. Raise WeightsError."""
    import open_clip

    name, pretrained = model_name(tower), _pretrained(tower)
    # Torch's fused attention cannot be exported to ONNX.
    torch.backends.mha.set_fastpath_enabled(False)
    # A checkpoint's file does not say how its images were normalized; tags, folders and hubs do.
    seen = {key: tower.numbers[key] for key in ("mean", "std") if key in tower.numbers and _is_file(tower)}
    try:
        # With `pretrained_text`, open_clip would look for the text tower's weights on a hub.
        model = open_clip.create_model(
            name,
            pretrained=pretrained,
            pretrained_text=False,
            force_quick_gelu=has_quick_gelu(tower),
            force_preprocess_cfg=seen or None,
        )
    except (OSError, RuntimeError) as error:
        wanted = f"{pretrained} of {name}" if pretrained else name
        raise WeightsError(
            f"expected the weights {wanted} for tower {tower.name}, got {hub.cause(error)}; give a "
            ".safetensors file of this model or a folder with one, where a model hub cannot be reached"
        ) from error
    return model.eval()


def has_quick_gelu(tower: Tower) -> bool:
    """Return whether the weights were trained with the activation QuickGELU: of a tag as open_clip knows it,
    of a file as `quick_gelu` of the tower says. The config of a folder or of a hub's model says it itself.
    """
    import open_clip

    tag = tower.weights.removeprefix(OPEN_CLIP) if tower.weights.startswith(OPEN_CLIP) else ""
    # open_clip only warns of a model and a tag with different activations.
    known = open_clip.get_pretrained_cfg(str(tower.numbers.get("model", "")), tag) if tag else {}
    return bool(known.get("quick_gelu", False)) or bool(
        _is_file(tower) and tower.numbers.get("quick_gelu", False)
    )


def model_name(tower: Tower) -> str:
    """Return open_clip's name of the tower's model. Raise WeightsError."""
    import open_clip

    if tower.weights.startswith(hub.HUB):
        return f"local-dir:{_hubs(tower)}"
    if not tower.weights.startswith(OPEN_CLIP) and Path(tower.weights).is_dir():
        if not (Path(tower.weights) / CONFIG).is_file():
            raise WeightsError(
                f"expected {CONFIG} in {tower.weights}, the weights of {tower.name}, got none; "
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


def home(tower: Tower) -> Path | None:
    """Return the folder of a tower whose weights are one or a hub's model; None for a tag and for a file."""
    if tower.weights.startswith(hub.HUB):
        return _hubs(tower)
    folder = Path(tower.weights)
    return folder if not tower.weights.startswith(OPEN_CLIP) and folder.is_dir() else None


def _pretrained(tower: Tower) -> str | None:
    """Return the tag or file that open_clip loads into a model of its own; None for a folder's or a hub's.

    Raise WeightsError for an unknown tag, and for weights that would be unpickled.
    """
    import open_clip

    if tower.weights.startswith(OPEN_CLIP):
        tag = tower.weights.removeprefix(OPEN_CLIP)
        model = str(tower.numbers.get("model", ""))
        known = open_clip.list_pretrained_tags_by_model(model)
        if tag and tag not in known:
            raise WeightsError(
                f"expected weights of {model} out of {', '.join(known) or 'none'}, got the tag {tag!r}; "
                "name one of these, or a .safetensors file"
            )
        return tag or None
    if _is_file(tower):
        return tower.weights
    if tower.weights.startswith(hub.HUB) or _is_safe(Path(tower.weights)):
        return None
    raise WeightsError(
        f"expected {OPEN_CLIP}TAG or a .safetensors file or a folder with one and no pickled ones as the "
        f"weights of {tower.name}, got {tower.weights!r}; save the checkpoint as safetensors"
    )


def _hubs(tower: Tower) -> Path:
    """Return the folder with the downloaded files of a hub's model. Raise WeightsError."""
    folder = hub.files(tower.weights, (*hub.DESCRIBING, *TENSORS))
    if not any((folder / name).is_file() for name in TENSORS):
        raise WeightsError(
            f"expected {' or '.join(TENSORS)} in {tower.weights}, got neither; convert its weights to "
            "safetensors, and name their folder"
        )
    return folder


def _is_file(tower: Tower) -> bool:
    return tower.weights.endswith(".safetensors") and not tower.weights.startswith((OPEN_CLIP, hub.HUB))


def _is_safe(folder: Path) -> bool:
    """Return whether a folder has safetensors and no pickle files, which open_clip may prefer."""
    pickled = any(list(folder.glob(f"*{ending}")) for ending in PICKLED)
    return bool(list(folder.glob("*.safetensors"))) and not pickled
