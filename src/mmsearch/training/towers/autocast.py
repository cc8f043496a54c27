"""When the layers of a training step are computed in bfloat16."""

from __future__ import annotations

import torch


def mixed(device: torch.device, *, towers: bool) -> torch.autocast:
    """Return the context of a step: bfloat16 on a GPU, and, if towers move, on a processor with units for
    it.

    Fusions alone are too small to gain on a processor, and without such units bfloat16 is slower than
    float32.
    """
    enabled = device.type == "cuda" or (towers and multiplies_bfloat16())
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def multiplies_bfloat16() -> bool:
    """Return whether this processor multiplies bfloat16 by AMX or by AVX-512.

    A step of MiniLM took .37 of its time in float32 by AVX-512 with bf16 (AMD EPYC of the fifth generation).
    """
    # Private names, but the only place where torch tells.
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
