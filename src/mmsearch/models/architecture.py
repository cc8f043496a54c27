"""An architecture: towers, their assignment to input slots, and the fusion of their features. One data file
each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmsearch.errors import ArchitectureError
from mmsearch.models.moving import FROZEN, Moving
from mmsearch.models.weights import PACKAGED
from mmsearch.serving.pictures.pixels import PREPROCESSING

FOLDER = Path(__file__).parent / "architectures"
FORMAT = 1
SLOTS = ("bibert_query", "bibert_item", "clip_text", "clip_image")
TEXT_SLOTS = ("bibert_query", "bibert_item", "clip_text")
QUERY_TEXT_SLOTS = ("bibert_query", "clip_text")
MADE_BY = {"int8": "int8 in fixed ranges"}
"""version of the quantization method per precision: another method gives other vectors from the same
weights
"""


@dataclass(frozen=True, slots=True)
class Tower:
    """One encoder: `kind` selects the code, `weights` the source, `dimension` is the size of its features,
    and `moving` says which of its weights a training changes.
    """

    name: str
    kind: str
    weights: str
    dimension: int
    numbers: Mapping[str, Any]
    moving: Moving = FROZEN

    @property
    def reads_pictures(self) -> bool:
        return "size" in self.numbers


@dataclass(frozen=True, slots=True)
class FusionNumbers:
    """Parameters of the fusion; the dimensions are those of the single-modality vectors and of the fused
    vector.
    """

    kind: str
    text_dimension: int
    image_dimension: int
    dimension: int
    numbers: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Architecture:
    """The towers by name, the tower of each slot (a missing slot is not supported), and the fusion. `folder`
    is that of the data file, if it was read from one.
    """

    name: str
    towers: Mapping[str, Tower]
    slots: Mapping[str, str]
    fusion: FusionNumbers
    data: Mapping[str, Any]
    folder: Path | None = None

    def tower(self, slot: str) -> Tower | None:
        name = self.slots.get(slot)
        return None if name is None else self.towers[name]

    def slots_of(self, tower: str) -> tuple[str, ...]:
        return tuple(slot for slot in SLOTS if self.slots.get(slot) == tower)

    def fingerprint(self, weights: Mapping[str, str], precision: str) -> str:
        """Return the sha256 (hex) of the data file, the hash of each tower's weights, the precision of the
        text towers, and the version of the preprocessing if there is a picture tower.

        Two model sets with one fingerprint give the same vectors up to rounding. An index stores the
        fingerprint, and queries of another model are rejected. `weights` maps a source to its sha256.
        """
        content: dict[str, Any] = {
            "architecture": self.data,
            "weights": dict(weights),
            "precision": MADE_BY.get(precision, precision),
        }
        if "clip_image" in self.slots:
            content["preprocessing"] = PREPROCESSING
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def names() -> list[str]:
    """Return the names of the architectures in the package."""
    return sorted(file.stem for file in FOLDER.glob("*.json"))


def load(name: str | Path) -> Architecture:
    """Read an architecture by name or from a file. Raise ArchitectureError."""
    file = Path(name) if str(name).endswith(".json") else FOLDER / f"{name}.json"
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArchitectureError(
            f"expected an architecture out of {', '.join(names())} or a .json file, got {str(name)!r}; "
            "name one of these"
        ) from error
    except ValueError as error:
        raise ArchitectureError(f"expected JSON in {file}, got {error}; correct the file") from error
    return parse(data, file.parent)


def parse(data: Any, folder: Path | None = None) -> Architecture:
    """Validate the data of an architecture. Raise ArchitectureError for the first error.

    Weights that are a relative path are looked up in `folder`, the architecture's own, and then in the
    working directory.
    """
    try:
        if data["format"] != FORMAT:
            raise ArchitectureError(
                f"expected an architecture of format {FORMAT}, got {data['format']!r}; update mmsearch"
            )
        towers = {name: _tower(name, numbers, folder) for name, numbers in data["towers"].items()}
        slots = dict(data["slots"])
        fusion = _fusion(data["fusion"])
        architecture = Architecture(str(data["name"]), towers, slots, fusion, data, folder)
    except (KeyError, TypeError, AttributeError) as error:
        raise ArchitectureError(
            f"expected an architecture with format, name, towers, slots and fusion, got none at {error}; "
            "compare with 4tmm_cat.json"
        ) from error
    _check(architecture)
    return architecture


def fusion_inputs(architecture: Architecture, side: str) -> dict[str, int]:
    """Return the inputs of `fusion_query` or `fusion_item` and their dimensions.

    An empty slot of the architecture has the dimension of the vectors that it would produce.
    """
    fusion = architecture.fusion

    def width(slot: str, otherwise: int) -> int:
        tower = architecture.tower(slot)
        return otherwise if tower is None else tower.dimension

    if side == "item":
        return {
            "TEXT": width("bibert_item", fusion.text_dimension),
            "IMAGE": width("clip_image", fusion.image_dimension),
        }
    return {
        "TEXT": width("bibert_query", fusion.text_dimension),
        "CLIP_TEXT": width("clip_text", fusion.image_dimension),
        "IMAGE": width("clip_image", fusion.image_dimension),
    }


def _tower(name: str, data: Mapping[str, Any], folder: Path | None) -> Tower:
    numbers = {key: data[key] for key in data if key not in ("kind", "weights", "dimension", "train")}
    source = str(data["weights"])
    if folder is not None and source not in PACKAGED and (folder / source).exists():
        source = str(folder / source)
    return Tower(
        name, data["kind"], source, int(data["dimension"]), numbers, Moving.of(data.get("train"), name)
    )


def _fusion(data: Mapping[str, Any]) -> FusionNumbers:
    own = ("kind", "text_dimension", "image_dimension", "dimension")
    numbers = {key: data[key] for key in data if key not in own}
    sizes = (int(data["text_dimension"]), int(data["image_dimension"]), int(data["dimension"]))
    return FusionNumbers(data["kind"], *sizes, numbers)


def _check(architecture: Architecture) -> None:
    for slot, name in architecture.slots.items():
        if slot not in SLOTS:
            raise ArchitectureError(f"expected slots out of {', '.join(SLOTS)}, got {slot!r}; rename it")
        if name not in architecture.towers:
            raise ArchitectureError(
                f"expected slot {slot} to name one of {', '.join(architecture.towers)}, got {name!r}; "
                "add the tower or rename it"
            )
        if architecture.towers[name].reads_pictures != (slot == "clip_image"):
            raise ArchitectureError(
                f"expected {'a picture' if slot == 'clip_image' else 'a text'} tower in slot {slot}, "
                f"got {name!r}; give the slot another tower"
            )
    named = {tower.numbers.get("names_by") for tower in architecture.towers.values()}
    idle = [name for name in architecture.towers if not architecture.slots_of(name) and name not in named]
    if idle:
        raise ArchitectureError(f"expected every tower in a slot, got none for {', '.join(idle)}; remove it")
    if not any(slot in architecture.slots for slot in QUERY_TEXT_SLOTS):
        raise ArchitectureError("expected bibert_query or clip_text among the slots, got neither; add one")
    if not any(slot in architecture.slots for slot in ("bibert_item", "clip_image")):
        raise ArchitectureError("expected bibert_item or clip_image among the slots, got neither; add one")
    _check_substitute(architecture)


def _check_substitute(architecture: Architecture) -> None:
    """A product's missing half can be made of the other one where both are in the space of one text tower."""
    fusion = architecture.fusion
    cosine = fusion.numbers.get("substitute")
    if cosine is None:
        return
    shared = architecture.slots.get("bibert_item") == architecture.slots.get("clip_text")
    width = fusion.text_dimension
    if not shared or width != fusion.image_dimension or width % 2:
        raise ArchitectureError(
            "expected a substitute only with one tower in the slots bibert_item and clip_text, and text and "
            f"image of one even dimension, got {fusion.text_dimension} and {fusion.image_dimension} in "
            f"{architecture.name}; leave it out"
        )
    if not isinstance(cosine, int | float) or not 0 <= cosine <= 1:
        raise ArchitectureError(f"expected a substitute from 0 to 1, got {cosine!r}; for example 0.5")
