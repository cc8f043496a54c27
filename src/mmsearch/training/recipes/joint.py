"""The joint form of an architecture: its text towers learn together with its fusion."""

from __future__ import annotations

import copy
from typing import Any

from mmsearch.models import architecture as architectures
from mmsearch.models.architecture import TEXT_SLOTS, Architecture
from mmsearch.models.fusion import registry

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
TEXT_ALONE: dict[str, Any] = {"batch": 128, "modality_dropout": 0.0, "single": 0.0}
"""numbers without a fusion to learn: nothing could stand in for a text that is dropped"""


def joint(architecture: Architecture) -> Architecture:
    """Return the architecture with moving text towers, unless its data file says which towers move.

    Numbers in its `training` take precedence.
    """
    if any("train" in tower for tower in architecture.data["towers"].values()):
        return architecture
    data: dict[str, Any] = copy.deepcopy(dict(architecture.data))
    for slot in TEXT_SLOTS:
        if slot in architecture.slots:
            data["towers"][architecture.slots[slot]]["train"] = LAYERS
    own = {} if learns(architecture) else TEXT_ALONE
    data["training"] = NUMBERS | own | data.get("training", {})
    return architectures.parse(data, architecture.folder)


def learns(architecture: Architecture) -> bool:
    """Return whether the architecture's fusion has weights to learn."""
    return architecture.fusion.kind in registry.FUSION_HEADS
