"""Features of the frozen towers, computed once and cached on disk by tower and input."""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mmsearch.config import cache_folder
from mmsearch.errors import PictureError
from mmsearch.images.decode import pixels
from mmsearch.models.export.export_cache import Exported
from mmsearch.serving.pictures.pixels import PREPROCESSING, Frame
from mmsearch.serving.sessions import exact, open_session
from mmsearch.serving.tokens import Tokens
from mmsearch.serving.words import normalized

Floats = NDArray[np.float32]
BATCH = 32
BLOCK = 1024
"""rows that are computed and stored together"""
BLOCK_OF_PICTURES = 256
"""images that are held in memory at once"""
MAPPED = 2**26
"""numbers from which features are mapped from a file: 256 MB"""
FORM = "nfkc"
"""names the files of text features: texts in NFKC, a row of zeros for one without a known word"""
PIXELS = f"pixels{PREPROCESSING}"
"""names the files of image features"""


class FeatureCache:
    """Features of one tower by the hash of the input, in two files that grow: the hashes (`.keys`, 32 bytes
    each) and the rows (`.f32`). What was added stays after an interruption; rows are read when asked for.
    """

    def __init__(self, tower: Exported, precision: str = "fp32") -> None:
        name = tower.folder.name + ("" if precision == "fp32" else f"-{precision}")
        name += f"-{PIXELS if tower.tower.reads_pictures else FORM}"
        folder = cache_folder("features")
        self._keys_file, self._rows_file = folder / f"{name}.keys", folder / f"{name}.f32"
        self._dimension = tower.tower.dimension
        self._places: dict[bytes, int] = {}
        if self._keys_file.exists():
            self._read(self._keys_file.read_bytes())

    def __contains__(self, key: bytes) -> bool:
        return key in self._places

    def rows(self, inputs: Sequence[bytes], compute: Callable[[list[bytes]], Floats]) -> Floats:
        """Return features of n inputs, float32 [n, dimension]. `compute` is called only for inputs that are
        not cached.
        """
        keys = [hashlib.sha256(value).digest() for value in inputs]
        lacking = {key: value for key, value in zip(keys, inputs, strict=True) if key not in self}
        # Sorted by length, so that short texts are not padded to the longest of all.
        order = sorted(lacking, key=lambda key: len(lacking[key]))
        for start in range(0, len(order), BLOCK):
            block = order[start : start + BLOCK]
            self.add(block, compute([lacking[key] for key in block]))
        return self.get(keys)

    def add(self, keys: Sequence[bytes], rows: Floats) -> None:
        """Append n rows, float32 [n, dimension], by their hashes."""
        self._keys_file.parent.mkdir(parents=True, exist_ok=True)
        with self._keys_file.open("ab+") as named, self._rows_file.open("ab") as stored:
            fcntl.flock(named, fcntl.LOCK_EX)
            named.seek(0)
            self._read(named.read())  # what another process added
            new = [number for number, key in enumerate(keys) if key not in self]
            # An interruption between the two writes leaves rows without hashes, or a part of a hash.
            named.truncate(32 * len(self._places))
            stored.truncate(4 * self._dimension * len(self._places))
            stored.write(np.ascontiguousarray(rows[new], np.float32).tobytes())
            stored.flush()
            os.fsync(stored.fileno())
            added = b"".join(keys[number] for number in new)
            named.write(added)
        for number in new:
            self._places[keys[number]] = len(self._places)

    def get(self, keys: Sequence[bytes | None]) -> Floats:
        """Return the rows of n hashes, float32 [n, dimension]; None gives a zero row. A large result is
        mapped from a file without a name, so that it does not have to fit into memory.
        """
        found = _zeros(len(keys), self._dimension)
        places = [(number, self._places[key]) for number, key in enumerate(keys) if key is not None]
        if places:
            every = np.memmap(self._rows_file, np.float32, "r").reshape(-1, self._dimension)
            for start in range(0, len(places), BLOCK):
                numbers, rows = zip(*places[start : start + BLOCK], strict=True)
                found[list(numbers)] = every[list(rows)]
        return found

    def _read(self, hashes: bytes) -> None:
        known = len(self._places)
        for place in range(known, len(hashes) // 32):
            self._places[hashes[32 * place : 32 * place + 32]] = place


def _zeros(count: int, dimension: int) -> Floats:
    if count * dimension < MAPPED:
        return np.zeros((count, dimension), np.float32)
    cache_folder("features").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=cache_folder("features")) as file:
        file.truncate(4 * count * dimension)
        return np.memmap(file, np.float32, "r+", shape=(count, dimension))


def text_features(tower: Exported, texts: Sequence[str], precision: str = "fp32") -> Floats:
    """Return features of n texts from the exported tower, float32 [n, dimension]; a text that is empty or
    has no word that the tower knows gives a zero row.
    """

    def compute(values: list[bytes]) -> Floats:
        session = _session(tower.onnx(precision))
        numbers = tower.tower.numbers
        tokens = Tokens(tower.tokenizer, int(numbers["max_tokens"]), numbers.get("pad_to"))
        found = np.empty((len(values), tower.tower.dimension), np.float32)
        for start in range(0, len(values), BATCH):
            places = list(range(start, min(start + BATCH, len(values))))
            ids, mask, readable = tokens.read([values[place].decode() for place in places])
            found[places] = session.run(None, {"INPUT_IDS": ids, "ATTENTION_MASK": mask})[0]
            found[[place for place, known in zip(places, readable, strict=True) if not known]] = 0
        return found

    cache = FeatureCache(tower, precision)
    return _present(
        cache, tower, [normalized(text).encode() if text.strip() else b"" for text in texts], compute
    )


def picture_features(
    tower: Exported, pictures: Iterable[bytes], broken: Callable[[int, str], None]
) -> Floats:
    """Return features of n encoded images, float32 [n, dimension]; empty bytes give a zero row.

    Images are taken from the iterable as they are needed, and a few hundred are held at a time. An image that
    does not decode also gives a zero row; `broken` is called with its number and the reason.
    """
    frame = Frame(int(tower.tower.numbers["size"]), str(tower.tower.numbers["fit"]))
    cache = FeatureCache(tower)
    why: dict[bytes, str] = {}
    keys: list[bytes | None] = []

    def compute(block: dict[bytes, bytes]) -> Floats:
        session = _session(tower.onnx("fp32"))
        found = np.zeros((len(block), tower.tower.dimension), np.float32)
        values = list(block.items())
        for start in range(0, len(values), BATCH):
            places, found_pixels = [], []
            for place in range(start, min(start + BATCH, len(values))):
                key, encoded = values[place]
                try:
                    found_pixels.append(pixels(encoded, frame))
                    places.append(place)
                except PictureError as error:
                    why[key] = str(error)
            if places:
                found[places] = session.run(None, {"PIXELS": np.stack(found_pixels)})[0]
        return found

    pending = iter(pictures)
    while block := list(itertools.islice(pending, BLOCK_OF_PICTURES)):
        named = [hashlib.sha256(picture).digest() if picture else None for picture in block]
        lacking = {
            key: picture
            for key, picture in zip(named, block, strict=True)
            if key is not None and key not in cache
        }
        if lacking:
            cache.add(list(lacking), compute(lacking))
        keys += named
    rows = cache.get(keys)
    for number, key in enumerate(keys):
        if key is not None and not rows[number].any():
            broken(number, why.get(key, "it did not decode when it was first read"))
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
    return open_session(file, exact(os.cpu_count() or 1))
