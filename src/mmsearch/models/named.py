"""The architecture that a user names, with the weights that a user gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmsearch.errors import ArchitectureError
from mmsearch.models import architecture as architectures
from mmsearch.models import clip_description, hub
from mmsearch.models.architecture import Architecture
from mmsearch.models.weights import OPEN_CLIP

CLIP_KINDS = ("open_clip_text", "open_clip_image")


def named(name: str, weights: str | None = None) -> Architecture:
    """Return an architecture by its name, its .json file, the hub's name of a CLIP (`hf-hub:OWNER/NAME`), or
    a CLIP's folder.

    `weights` replaces those of its CLIP towers: a .safetensors file, a folder, a hub's name, or an open_clip
    tag. Raise ModelError.
    """
    if clip_description.is_described(name):
        found = architectures.parse(clip_description.data(name))
    else:
        found = architectures.load(name)
    return found if weights is None else _with(found, weights)


def _with(architecture: Architecture, given: str) -> Architecture:
    data: dict[str, Any] = json.loads(json.dumps(architecture.data))
    replaced = [tower for tower in data["towers"].values() if tower["kind"] in CLIP_KINDS]
    if not replaced:
        raise ArchitectureError(
            f"expected an architecture with CLIP towers for the weights {given!r}, got {architecture.name}; "
            "name one such as ViT-B-32"
        )
    source = _source(given)
    for tower in replaced:
        tower["weights"] = source
    return architectures.parse(data)


def _source(given: str) -> str:
    if given.startswith(hub.HUB):
        return hub.pinned(given)
    path = Path(given)
    if path.exists() or path.suffix or len(path.parts) > 1:
        return str(path.resolve())
    return OPEN_CLIP + given.removeprefix(OPEN_CLIP)
