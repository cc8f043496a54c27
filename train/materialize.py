"""Writes a model set's files with torch; apart from `build`, so that a cached set needs no torch."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..model_repository.serving.tokens import Tokens
from . import export, fusion, towers
from .architecture import Architecture, fusion_inputs

GOLDEN_TEXTS = (
    "wooden chair",
    "a red sofa with two cushions",
    "lamp",
    "Bücherregal aus Eiche",
    "kitchen table, round, four seats, walnut, 120 cm",
)


def materialize(architecture: Architecture, precision: str, folder: Path, say: Callable[[str], None]) -> None:
    """Exports every tower and both sides of the fusion into `folder`, with golden vectors by torch."""
    built: dict[str, nn.Module] = {}
    for tower in architecture.towers.values():
        say(f"exporting {tower.name} ({tower.weights})")
        built[tower.name] = towers.build(architecture, tower)
        target = folder / f"{tower.name}.onnx"
        if tower.reads_pictures or precision == "fp32":
            export.export_tower(built[tower.name], tower, target)
        else:
            export.export_tower(built[tower.name], tower, folder / "fp32.onnx")
            export.quantize(folder / "fp32.onnx", target)
            (folder / "fp32.onnx").unlink()
        if not tower.reads_pictures:
            shutil.copyfile(towers.tokenizer_file(tower), folder / f"{tower.name}.tokenizer.json")
    fused = fusion.build(architecture)
    for side in ("query", "item"):
        export.export_fusion(fused, architecture, side, folder / f"fusion_{side}.onnx")
    say("computing golden vectors")
    np.savez(folder / "golden.npz", **golden(architecture, built, fused))


def golden(
    architecture: Architecture, built: dict[str, nn.Module], fused: fusion.Fusion
) -> dict[str, NDArray[Any]]:
    """What torch itself answers for a few texts and drawn pictures, to compare the served models with.

    TEXTS, PIXELS (uint8 [n, size, size, 3]), QUERY and ITEM (float32 [n, dimension]), row by row; an
    architecture without a picture tower has no PIXELS.
    """
    answers: dict[str, NDArray[Any]] = {"TEXTS": np.array(GOLDEN_TEXTS)}
    features: dict[str, torch.Tensor] = {}
    with torch.inference_mode():
        for slot in architecture.slots:
            tower = architecture.tower(slot)
            if tower is None:
                continue
            if tower.reads_pictures:
                answers["PIXELS"] = drawn(len(GOLDEN_TEXTS), int(tower.numbers["size"]))
                features[slot] = built[tower.name](torch.from_numpy(answers["PIXELS"]))
                continue
            tokens = Tokens(
                towers.tokenizer_file(tower), int(tower.numbers["max_tokens"]), tower.numbers.get("pad_to")
            )
            ids, mask = tokens(GOLDEN_TEXTS)
            features[slot] = built[tower.name](torch.from_numpy(ids), torch.from_numpy(mask))

        def feed(slot: str, width: int) -> torch.Tensor:
            return features.get(slot, torch.zeros(len(GOLDEN_TEXTS), width))

        widths = fusion_inputs(architecture, "query")
        text = feed("bibert_query", widths["TEXT"])
        words = feed("clip_text", widths["CLIP_TEXT"])
        nothing = torch.zeros(len(GOLDEN_TEXTS), widths["IMAGE"])
        answers["QUERY"] = fused.query(text, words, nothing)[0].numpy()
        widths = fusion_inputs(architecture, "item")
        answers["ITEM"] = fused.item(
            feed("bibert_item", widths["TEXT"]), feed("clip_image", widths["IMAGE"])
        )[0].numpy()
    return answers


def drawn(count: int, size: int) -> NDArray[np.uint8]:
    """Pictures of coloured discs on gradients, the same on every machine: uint8 [count, size, size, 3]."""
    rows, columns = np.mgrid[0:size, 0:size]
    pictures = np.empty((count, size, size, 3), np.uint8)
    for number in range(count):
        inside = (rows - size // 2) ** 2 + (columns - size // 3) ** 2 < (size // (3 + number)) ** 2
        for channel in range(3):
            slope = (rows * (channel + 1) + columns * (number + 1)) * 255 // (size * (channel + number + 2))
            pictures[number, :, :, channel] = np.where(inside, 40 * ((number + channel) % 6), slope)
    return pictures
