"""Features of the frozen towers, computed once and cached on disk by tower and input."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mmsearch.config import cache_folder
from mmsearch.errors import PictureError
from mmsearch.images.decode import pixels
from mmsearch.models.export.export_cache import Exported
from mmsearch.serving.pictures.pixels import PREPROCESSING, Frame
from mmsearch.serving.sessions import open_session
from mmsearch.serving.tokens import Tokens
from mmsearch.serving.words import normalized

Floats = NDArray[np.float32]
BATCH = 32
FORM = "nfkc"
"""names the files of text features: texts in NFKC, a row of zeros for one without a known word"""
PIXELS = f"pixels{PREPROCESSING}"
"""names the files of image features"""


class FeatureCache:
    """Features of one tower by the hash of the input. The file is read and replaced as a whole."""

    def __init__(self, tower: Exported, precision: str = "fp32") -> None:
        name = tower.folder.name + ("" if precision == "fp32" else f"-{precision}")
        name += f"-{PIXELS if tower.tower.reads_pictures else FORM}"
        self._file = cache_folder("features") / f"{name}.npz"
        self._rows: dict[bytes, Floats] = {}
        if self._file.exists():
            with np.load(self._file) as stored:
                keys = [key.tobytes() for key in stored["KEYS"]]
                self._rows = dict(zip(keys, stored["FEATURES"], strict=True))

    def rows(self, inputs: Sequence[bytes], compute: Callable[[list[bytes]], Floats]) -> Floats:
        """Return features of n inputs, float32 [n, dimension]. `compute` is called only for inputs that are
        not cached.
        """
        keys = [hashlib.sha256(value).digest() for value in inputs]
        lacking = {key: value for key, value in zip(keys, inputs, strict=True) if key not in self._rows}
        if lacking:
            self._rows |= dict(zip(lacking, compute(list(lacking.values())), strict=True))
            self._save()
        return np.stack([self._rows[key] for key in keys])

    def _save(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        keys = np.frombuffer(b"".join(self._rows), np.uint8).reshape(-1, 32)
        handle, draft = tempfile.mkstemp(dir=self._file.parent, suffix=".npz")
        os.close(handle)
        np.savez(draft, KEYS=keys, FEATURES=np.stack(list(self._rows.values())))
        Path(draft).replace(self._file)


def text_features(tower: Exported, texts: Sequence[str], precision: str = "fp32") -> Floats:
    """Return features of n texts from the exported tower, float32 [n, dimension]; a text that is empty or
    has no word that the tower knows gives a zero row.
    """

    def compute(values: list[bytes]) -> Floats:
        session = _session(tower.onnx(precision))
        numbers = tower.tower.numbers
        tokens = Tokens(tower.tokenizer, int(numbers["max_tokens"]), numbers.get("pad_to"))
        # Sorted by length, so that short texts are not padded to the longest of all.
        order = sorted(range(len(values)), key=lambda place: len(values[place]))
        found = np.empty((len(values), tower.tower.dimension), np.float32)
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            ids, mask, readable = tokens.read([values[place].decode() for place in places])
            found[places] = session.run(None, {"INPUT_IDS": ids, "ATTENTION_MASK": mask})[0]
            found[[place for place, known in zip(places, readable, strict=True) if not known]] = 0
        return found

    cache = FeatureCache(tower, precision)
    return _present(
        cache, tower, [normalized(text).encode() if text.strip() else b"" for text in texts], compute
    )


def picture_features(
    tower: Exported, pictures: Sequence[bytes], broken: Callable[[int, str], None]
) -> Floats:
    """Return features of n encoded images, float32 [n, dimension]; empty bytes give a zero row.

    An image that does not decode also gives a zero row; `broken` is called with its number and the reason.
    """
    frame = Frame(int(tower.tower.numbers["size"]), str(tower.tower.numbers["fit"]))
    why: dict[bytes, str] = {}

    def compute(values: list[bytes]) -> Floats:
        session = _session(tower.onnx("fp32"))
        found = np.zeros((len(values), tower.tower.dimension), np.float32)
        for start in range(0, len(values), BATCH):
            places, found_pixels = [], []
            for place in range(start, min(start + BATCH, len(values))):
                try:
                    found_pixels.append(pixels(values[place], frame))
                    places.append(place)
                except PictureError as error:
                    why[values[place]] = str(error)
            if places:
                found[places] = session.run(None, {"PIXELS": np.stack(found_pixels)})[0]
        return found

    rows = _present(FeatureCache(tower), tower, pictures, compute)
    for number, picture in enumerate(pictures):
        if picture and not rows[number].any():
            broken(number, why.get(picture, "it did not decode when it was first read"))
    return rows


def _present(
    cache: FeatureCache, tower: Exported, inputs: Sequence[bytes], compute: Callable[[list[bytes]], Floats]
) -> Floats:
    rows = np.zeros((len(inputs), tower.tower.dimension), np.float32)
    present = [number for number, value in enumerate(inputs) if value]
    if present:
        rows[present] = cache.rows([inputs[number] for number in present], compute)
    return rows


def _session(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count() or 1
    return open_session(file, options)
