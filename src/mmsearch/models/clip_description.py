"""The architecture of a CLIP that a folder or a hub's model describes by its `open_clip_config.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmsearch.errors import WeightsError
from mmsearch.models import hub
from mmsearch.models.architecture import FORMAT

CONFIG = "open_clip_config.json"
FITS = {"shortest": "crop", "longest": "pad", "squash": "squash"}
"""how an image is fitted to the tower's square, by open_clip's `resize_mode`"""
CONTEXT, SIZE = 77, 224
"""open_clip's context length and image size where a config has none"""


def is_described(name: str) -> bool:
    """Return whether a name is that of a hub's model, or of a folder with open_clip's config."""
    return name.startswith(hub.HUB) or (Path(name) / CONFIG).is_file()


def data(name: str) -> dict[str, Any]:
    """Return the data of the architecture of a described CLIP: its text tower against its image tower.

    `name` is `hf-hub:OWNER/NAME`, also with `@COMMIT`, or the path of a folder. A hub's model is pinned to
    its commit, so that the same data gives the same vectors. Raise WeightsError.
    """
    if name.startswith(hub.HUB):
        weights = hub.pinned(name)
        folder = hub.files(weights)
        own = name.removeprefix(hub.HUB).partition("@")[0].rpartition("/")[2]
    else:
        folder = Path(name).resolve()
        weights, own = str(folder), folder.name
    return built(own, weights, _read(folder, name))


def built(name: str, weights: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of an architecture with the numbers of an open_clip config. Raise WeightsError."""
    model, seen = config["model_cfg"], config.get("preprocess_cfg", {})
    dimension, text, vision = int(model["embed_dim"]), model["text_cfg"], model["vision_cfg"]
    sizes = vision.get("image_size", SIZE)
    sides = set(sizes) if isinstance(sizes, list) else {sizes}
    mode = seen.get("resize_mode", "shortest")
    if len(sides) > 1 or mode not in FITS:
        raise WeightsError(
            f"expected a CLIP whose images are squares and fitted by {', '.join(FITS)}, got {name} with "
            f"images of {sizes} and {mode!r}; use another model"
        )
    length = int(text.get("context_length", CONTEXT))
    # Text towers that are Hugging Face encoders take texts of any length up to theirs.
    words = {"max_tokens": length} | ({} if "hf_model_name" in text else {"pad_to": length})
    return {
        "format": FORMAT,
        "name": name,
        "towers": {
            "text": {"kind": "open_clip_text", "weights": weights, "dimension": dimension, **words},
            "image": {
                "kind": "open_clip_image",
                "weights": weights,
                "dimension": dimension,
                "size": int(sides.pop()),
                "fit": FITS[mode],
            },
        },
        "slots": {"clip_text": "text", "clip_image": "image"},
        "fusion": {
            "kind": "image_only",
            "text_dimension": dimension,
            "image_dimension": dimension,
            "dimension": dimension,
        },
    }


def _read(folder: Path, name: str) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        for key in ("embed_dim", "text_cfg", "vision_cfg"):
            config["model_cfg"][key]
    except FileNotFoundError as error:
        raise WeightsError(
            f"expected {CONFIG} in {name}, got none; name a model of open_clip, or one that has been "
            "converted to it"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"expected {CONFIG} of {name} with model_cfg, embed_dim, text_cfg and vision_cfg, got "
            f"{hub.cause(error)}; correct the file"
        ) from error
    return config
