"""The architecture that a user names, with the weights that a user gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmsearch.errors import ArchitectureError
from mmsearch.models import architecture as architectures
from mmsearch.models import clip_description, hub
from mmsearch.models.architecture import Architecture
from mmsearch.models.weights import CONFIG, OPEN_CLIP, TOKENIZER, local_encoder

CLIP_KINDS = ("open_clip_text", "open_clip_image")
FROZEN = "{}_frozen"
"""name of the tower that names classes in place of a changed one, whose images' vectors would change else"""


def named(name: str, weights: str | None = None) -> Architecture:
    """Return an architecture by its name, its .json file, the hub's name of a CLIP (`hf-hub:OWNER/NAME`), or
    a CLIP's folder.

    `weights` replaces those of its CLIP towers: a .safetensors file, a folder, a hub's name, or an open_clip
    tag; or those of its other text towers: the folder of a text encoder. Raise ModelError.
    """
    if clip_description.is_described(name):
        found = architectures.parse(clip_description.data(name))
    else:
        found = architectures.load(name)
    return found if weights is None else _with(found, weights)


def _with(architecture: Architecture, given: str) -> Architecture:
    data: dict[str, Any] = json.loads(json.dumps(architecture.data))
    is_encoder = _is_encoder(given)
    kinds = ("bert",) if is_encoder else CLIP_KINDS
    # A tower without a slot names classes, and stays.
    replaced = {
        name: data["towers"][name]
        for name in architecture.slots.values()
        if architecture.towers[name].kind in kinds
    }
    if not replaced:
        wanted, example = ("a text tower", "bibert") if is_encoder else ("CLIP towers", "ViT-B-32")
        raise ArchitectureError(
            f"expected an architecture with {wanted} for the weights {given!r}, got {architecture.name}; "
            f"name one such as {example}"
        )
    source = _source(given)
    if is_encoder:
        local_encoder(source)
    for name, tower in replaced.items():
        keep_naming(data["towers"], name, {key: tower[key] for key in tower if key != "train"})
        if is_encoder:
            _require_dimension(architecture, source, int(tower["dimension"]))
        tower["weights"] = source
    return architectures.parse(data, architecture.folder)


def keep_naming(towers: dict[str, Any], name: str, before: dict[str, Any]) -> None:
    """Add the tower as it was `before`, if tower `name` names the classes of an image tower, and let it name
    them from now on.
    """
    namesakes = [each for each in towers.values() if each.get("names_by") == name]
    if namesakes:
        towers[FROZEN.format(name)] = before
    for each in namesakes:
        each["names_by"] = FROZEN.format(name)


def _is_encoder(given: str) -> bool:
    """Return whether it is the folder of a text encoder, and not of a CLIP."""
    folder = Path(given)
    if (folder / clip_description.CONFIG).is_file():
        return False
    return (folder / CONFIG).is_file() and (folder / TOKENIZER).is_file()


def _require_dimension(architecture: Architecture, folder: str, dimension: int) -> None:
    found = json.loads((Path(folder) / CONFIG).read_text(encoding="utf-8")).get("hidden_size")
    if found != dimension:
        raise ArchitectureError(
            f"expected a text encoder of dimension {dimension} for {architecture.name}, got {found} in "
            f"{folder}; name an architecture file with its dimensions"
        )


def _source(given: str) -> str:
    if given.startswith(hub.HUB):
        return hub.pinned(given)
    path = Path(given)
    if path.exists() or path.suffix or len(path.parts) > 1:
        return str(path.resolve())
    return OPEN_CLIP + given.removeprefix(OPEN_CLIP)
