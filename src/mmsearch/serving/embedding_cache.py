"""Cache of tower outputs by input: after an edit of the text the image is not computed again, and vice
versa.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Feeds = Mapping[str, NDArray[Any]]
OVERHEAD = 300  # bytes that a remembered row costs beside its numbers


class EmbeddingCache:
    """LRU cache of the output rows of a model with one output, limited in bytes.

    Cached rows are bitwise identical to the computed ones.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._rows: OrderedDict[bytes, Floats] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return len(self._rows)

    def run(
        self,
        feeds: Mapping[str, NDArray[np.generic]],
        run: Callable[[dict[str, NDArray[np.generic]]], Floats],
    ) -> tuple[Floats, int]:
        """Return one row of floats for each row of `feeds`, and the number of rows for which `run` was
        called.
        """
        keys = [key(row) for row in zip(*feeds.values(), strict=True)]
        found = {each: self._rows[each] for each in keys if each in self._rows}
        for each in found:
            self._rows.move_to_end(each)
        first = {each: number for number, each in reversed(list(enumerate(keys))) if each not in found}
        if first:
            places = list(first.values())
            answer = run({name: array[places] for name, array in feeds.items()})
            for each, row in zip(first, answer, strict=True):
                found[each] = np.array(row)
                self._keep(each, found[each])
        return np.stack([found[each] for each in keys]), len(first)

    def _keep(self, each: bytes, row: Floats) -> None:
        self._rows[each] = row
        self._size += row.nbytes + OVERHEAD
        while self._size > self.capacity:
            _, old = self._rows.popitem(last=False)
            self._size -= old.nbytes + OVERHEAD


def key(row: tuple[NDArray[Any], ...]) -> bytes:
    """Return a digest of one row of each input, independent of zero padding in the batch."""
    state = hashlib.blake2b(digest_size=20)
    for part in row:
        raw = part.tobytes().rstrip(b"\0")
        state.update(len(raw).to_bytes(8, "little"))
        state.update(raw)
    return state.digest()
