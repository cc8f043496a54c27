"""When the layers of a training step are computed in bfloat16."""

from __future__ import annotations

import torch


def mixed(device: torch.device, *, towers: bool) -> torch.autocast:
    """Return the context of a step: bfloat16 on a GPU, and on a processor with AMX if towers move.

    Fusions alone are too small to gain on a processor, and without AMX bfloat16 is slower than float32.
    """
    enabled = device.type == "cuda" or (towers and has_amx())
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def has_amx() -> bool:
    """Return whether this processor multiplies tiles of bfloat16."""
    return bool(torch.cpu._is_amx_tile_supported())  # the only place where torch tells
