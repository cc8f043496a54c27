"""Export torch modules to ONNX files."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from mmsearch.models.architecture import Architecture, Tower, fusion_inputs
from mmsearch.models.fusion.base import Fusion, Vectors

OPSET = 17
FEATURES = "FEATURES"
VECTORS = ("EMBEDDING", "TEXT_EMBEDDING", "IMAGE_EMBEDDING")


class QuerySide(nn.Module):
    """A fusion's query side as a module, which the exporter needs."""

    def __init__(self, fusion: Fusion) -> None:
        super().__init__()
        self.fusion = fusion

    def forward(self, text: Tensor, clip_text: Tensor, image: Tensor) -> Vectors:
        return self.fusion.query(text, clip_text, image)


class ItemSide(nn.Module):
    """A fusion's product side as a module."""

    def __init__(self, fusion: Fusion) -> None:
        super().__init__()
        self.fusion = fusion

    def forward(self, text: Tensor, image: Tensor) -> Vectors:
        return self.fusion.item(text, image)


def export_tower(module: nn.Module, tower: Tower, file: Path) -> None:
    """Write a tower: inputs INPUT_IDS and ATTENTION_MASK, or PIXELS; output FEATURES; dynamic batch."""
    if tower.reads_pictures:
        size = int(tower.numbers["size"])
        pixels = torch.randint(0, 256, (2, size, size, 3), dtype=torch.uint8)
        _export(module, (pixels,), {"PIXELS": {0: "batch"}}, [FEATURES], file)
        return
    ids = torch.ones((2, int(tower.numbers.get("pad_to", 7))), dtype=torch.int64)
    axes = {name: {0: "batch", 1: "tokens"} for name in ("INPUT_IDS", "ATTENTION_MASK")}
    _export(module, (ids, torch.ones_like(ids)), axes, [FEATURES], file)


def export_fusion(fusion: Fusion, architecture: Architecture, side: str, file: Path) -> None:
    """Write one side of a fusion with the outputs EMBEDDING, TEXT_EMBEDDING and IMAGE_EMBEDDING."""
    inputs = fusion_inputs(architecture, side)
    module = QuerySide(fusion) if side == "query" else ItemSide(fusion)
    axes = {name: {0: "batch"} for name in inputs}
    _export(module, tuple(torch.rand(2, width) for width in inputs.values()), axes, list(VECTORS), file)


def _export(
    module: nn.Module,
    arguments: tuple[Tensor, ...],
    axes: dict[str, dict[int, str]],
    outputs: list[str],
    file: Path,
) -> None:
    with warnings.catch_warnings():
        # The tracer warns of each Python number that becomes a constant. The golden vectors check the result.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            arguments,
            str(file),
            input_names=list(axes),
            output_names=outputs,
            dynamic_axes=axes | {name: {0: "batch"} for name in outputs},
            opset_version=OPSET,
            dynamo=False,
        )
