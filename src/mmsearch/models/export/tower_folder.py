"""Write a tower's cache folder with torch. Imported only for towers that are not in the cache."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mmsearch.errors import WeightsError
from mmsearch.models.architecture import Architecture, Tower
from mmsearch.models.export import calibration, quantize, to_onnx
from mmsearch.models.towers import encoders
from mmsearch.serving.tokens import Tokens

GOLDEN_TEXTS = (
    "wooden chair",
    "a red sofa with two cushions",
    "lamp",
    "Bücherregal aus Eiche",
    "kitchen table, round, four seats, walnut, 120 cm",
)


def export_tower_folder(architecture: Architecture, tower: Tower, folder: Path) -> None:
    """Build the tower and write its files into `folder`, without those of int8."""
    built = encoders.build(architecture, tower)
    to_onnx.export_tower(built, tower, folder / "fp32.onnx")
    with torch.inference_mode():
        if tower.reads_pictures:
            pixels = drawn(len(GOLDEN_TEXTS), int(tower.numbers["size"]))
            features = _checked(built(torch.from_numpy(pixels)), tower)
            np.savez(folder / "golden.npz", PIXELS=pixels, FEATURES=features)
            return
        encoders.write_tokenizer(tower, folder / "tokenizer.json")
        tokens = _tokens(tower, folder)
        ids, mask = tokens(GOLDEN_TEXTS)
        features = _checked(built(torch.from_numpy(ids), torch.from_numpy(mask)), tower)
        np.savez(folder / "golden.npz", TEXTS=np.array(GOLDEN_TEXTS), FEATURES=features)


def quantize_tower(tower: Tower, folder: Path) -> None:
    """Write the int8 form of a text tower's exported folder, and what it loses, `int8.onnx` last."""
    tokens = _tokens(tower, folder)
    fp32, draft = folder / "fp32.onnx", folder / f".int8-{os.getpid()}.onnx"
    try:
        quantize.quantize(fp32, draft, calibration.batches(tokens))
        calibration.write(calibration.measured(fp32, draft, tokens), folder / "int8.json")
        draft.replace(folder / "int8.onnx")
    finally:
        draft.unlink(missing_ok=True)


def _tokens(tower: Tower, folder: Path) -> Tokens:
    return Tokens(folder / "tokenizer.json", int(tower.numbers["max_tokens"]), tower.numbers.get("pad_to"))


def _checked(features: torch.Tensor, tower: Tower) -> NDArray[Any]:
    found: NDArray[Any] = features.numpy()
    if found.shape[1] != tower.dimension:
        raise WeightsError(
            f"expected features of dimension {tower.dimension} from tower {tower.name}, got "
            f"{found.shape[1]}; correct the architecture's `dimension`, or name the weights of its model"
        )
    return found


def drawn(count: int, size: int) -> NDArray[np.uint8]:
    """Return reproducible images of colored discs on gradients: uint8 [count, size, size, 3]."""
    rows, columns = np.mgrid[0:size, 0:size]
    pictures = np.empty((count, size, size, 3), np.uint8)
    for number in range(count):
        inside = (rows - size // 2) ** 2 + (columns - size // 3) ** 2 < (size // (3 + number)) ** 2
        for channel in range(3):
            slope = (rows * (channel + 1) + columns * (number + 1)) * 255 // (size * (channel + number + 2))
            pictures[number, :, :, channel] = np.where(inside, 40 * ((number + channel) % 6), slope)
    return pictures
