"""Export a fusion with torch: two ONNX files and the golden vectors of the model set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mmsearch.models.architecture import Architecture, fusion_inputs
from mmsearch.models.export import to_onnx
from mmsearch.models.export.export_cache import Exported
from mmsearch.models.fusion import registry
from mmsearch.models.fusion.base import Fusion


def loaded(architecture: Architecture, weights: Path | None) -> Fusion:
    """Return the architecture's fusion in evaluation mode, with a safetensors file's weights or untrained."""
    # An untrained fusion has random vectors for missing inputs: the seed makes them reproducible.
    torch.manual_seed(0)
    fusion = registry.build(architecture)
    if weights is not None:
        from safetensors.torch import load_file

        registry.give(fusion, load_file(weights), weights)
    return fusion.eval()


def export_fusion_folder(
    architecture: Architecture, towers: Mapping[str, Exported], weights: Path | None, folder: Path
) -> None:
    """Write `fusion_query.onnx`, `fusion_item.onnx` and `golden.npz`."""
    fusion = loaded(architecture, weights)
    for side in ("query", "item"):
        to_onnx.export_fusion(fusion, architecture, side, folder / f"fusion_{side}.onnx")
    answers: dict[str, NDArray[Any]] = {}
    features: dict[str, torch.Tensor] = {}
    for slot, name in architecture.slots.items():
        with np.load(towers[name].folder / "golden.npz") as opened:
            golden = dict(opened)
        features[slot] = torch.from_numpy(golden["FEATURES"])
        answers |= {key: golden[key] for key in ("TEXTS", "PIXELS") if key in golden}
    rows = len(next(iter(features.values())))
    query, item = fusion_inputs(architecture, "query"), fusion_inputs(architecture, "item")

    def feed(slot: str, width: int) -> torch.Tensor:
        return features.get(slot, torch.zeros(rows, width))

    with torch.inference_mode():
        answers["QUERY"] = fusion.query(
            feed("bibert_query", query["TEXT"]),
            feed("clip_text", query["CLIP_TEXT"]),
            torch.zeros(rows, query["IMAGE"]),
        )[0].numpy()
        answers["ITEM"] = fusion.item(feed("bibert_item", item["TEXT"]), feed("clip_image", item["IMAGE"]))[
            0
        ].numpy()
    np.savez(folder / "golden.npz", **answers)
