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
    kinds, source = (("bert",), _encoder(given)) if _is_encoder(given) else (CLIP_KINDS, "")
    replaced = {name: tower for name, tower in data["towers"].items() if tower["kind"] in kinds}
    if not replaced:
        wanted, example = ("CLIP towers", "ViT-B-32") if kinds == CLIP_KINDS else ("a text tower", "bibert")
        raise ArchitectureError(
            f"expected an architecture with {wanted} for the weights {given!r}, got {architecture.name}; "
            f"name one such as {example}"
        )
    source = source or _source(given)
    for name, tower in replaced.items():
        namesakes = [each for each in data["towers"].values() if each.get("names_by") == name]
        if namesakes:
            data["towers"][FROZEN.format(name)] = dict(tower)
            for each in namesakes:
                each["names_by"] = FROZEN.format(name)
        if kinds != CLIP_KINDS:
            _require_dimension(architecture, source, int(tower["dimension"]))
        tower["weights"] = source
    return architectures.parse(data, architecture.folder)


def _is_encoder(given: str) -> bool:
    """Return whether it is the folder of a text encoder, and not of a CLIP."""
    folder = Path(given)
    if (folder / clip_description.CONFIG).is_file():
        return False
    return (folder / CONFIG).is_file() and (folder / TOKENIZER).is_file()


def _encoder(given: str) -> str:
    return str(local_encoder(given).resolve())


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
