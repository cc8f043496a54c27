"""The joint form of an architecture: its text towers learn together with its fusion."""

from __future__ import annotations

import copy
from typing import Any

from mmsearch.models import architecture as architectures
from mmsearch.models.architecture import SLOTS, TEXT_SLOTS, Architecture
from mmsearch.models.fusion import registry
from mmsearch.models.named import CLIP_KINDS

LAYERS = {"last": 2}
"""what moves by default: more overfits, and costs more"""
NUMBERS: dict[str, Any] = {
    "steps": 2000,
    "passes": 1.0,
    "rate": 4e-4,
    "decay": 0.01,
    "tower_rate": 1e-4,
    "warmup": 10,
    "evaluate_every": 20,
}
TOWERS_ALONE: dict[str, Any] = {"batch": 128, "modality_dropout": 0.0, "single": 0.0}
"""numbers without a fusion to learn: nothing could stand in for a text that is dropped"""
CLIP_RATE = 1e-5
"""a rate that is usual for the fine-tuning of pretrained CLIPs"""


def joint(architecture: Architecture, train: Any = LAYERS) -> Architecture:
    """Return the architecture with moving text towers, unless its data file says which towers move. Both
    towers of a CLIP move where nothing else learns.

    `train` is that of the towers. Numbers in the architecture's `training` take precedence.
    """
    if any("train" in tower for tower in architecture.data["towers"].values()):
        return architecture
    data: dict[str, Any] = copy.deepcopy(dict(architecture.data))
    moved = _moved(architecture)
    for name in moved:
        data["towers"][name]["train"] = train
    own = {} if learns(architecture) else TOWERS_ALONE
    if any(architecture.towers[name].kind in CLIP_KINDS for name in moved):
        own = own | {"tower_rate": CLIP_RATE}
    data["training"] = NUMBERS | own | data.get("training", {})
    return architectures.parse(data, architecture.folder)


def _moved(architecture: Architecture) -> list[str]:
    """Return the names of the towers that move."""
    kinds: set[str] = {"bert"}
    slots: tuple[str, ...] = TEXT_SLOTS
    if not learns(architecture):
        kinds, slots = kinds | {*CLIP_KINDS}, SLOTS
    named = dict.fromkeys(architecture.slots[slot] for slot in slots if slot in architecture.slots)
    return [name for name in named if architecture.towers[name].kind in kinds]


def learns(architecture: Architecture) -> bool:
    """Return whether the architecture's fusion has weights to learn."""
    return architecture.fusion.kind in registry.FUSION_HEADS
