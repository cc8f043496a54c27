"""Token ids of many texts in one array, read in batches of any order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from mmsearch.serving.tokens import Tokens

BLOCK = 1024
TOGETHER = 32
"""texts of similar length that are computed together, so that short ones are not padded to the longest"""


class TokenStore:
    """Token ids of n texts: `ids` int32, one text after the other, `ends` int64 [n + 1]. A text without a
    word that the tower knows has length 0. Batches are as wide as their longest text, or `width`.
    """

    def __init__(self, texts: Sequence[str], tokens: Tokens, width: int | None = None) -> None:
        self._width = width
        parts: list[np.ndarray[tuple[int], np.dtype[np.int32]]] = []
        lengths: list[int] = []
        for start in range(0, len(texts), BLOCK):
            block = texts[start : start + BLOCK]
            numbers, mask, readable = tokens.read([text or " " for text in block])
            for row, text in enumerate(block):
                length = int(mask[row].sum()) if readable[row] and text.strip() else 0
                lengths.append(length)
                parts.append(numbers[row, :length].astype(np.int32))
        self.ids = np.concatenate(parts) if parts else np.zeros(0, np.int32)
        self.ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def lengths(self, places: Tensor) -> Tensor:
        """Return the number of tokens of the texts at `places`, int64."""
        ends = torch.from_numpy(self.ends)
        return ends[places + 1] - ends[places]

    def batch(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return token ids and mask of the texts at `places`, int64 [n, longest]; padding is 0."""
        width = self._width or int(self.lengths(places).max())
        ids = np.zeros((len(places), width), np.int64)
        mask = np.zeros((len(places), width), np.int64)
        for row, place in enumerate(places.tolist()):
            found = self.ids[self.ends[place] : self.ends[place + 1]]
            ids[row, : len(found)] = found
            mask[row, : len(found)] = 1
        return torch.from_numpy(ids), torch.from_numpy(mask)

    def batches(self, places: Tensor) -> Iterator[tuple[Tensor, tuple[Tensor, Tensor]]]:
        """Yield the numbers of those of `places` that have a known word, int64 [b], and their token ids and
        mask, int64 [b, longest].
        """
        lengths = self.lengths(places)
        order = torch.argsort(lengths, stable=True)
        order = order[lengths[order] > 0]
        for numbers in torch.split(order, TOGETHER):
            if len(numbers):
                yield numbers, self.batch(places[numbers])

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of the tokens."""
        digest = hashlib.sha256(self.ends.tobytes())
        digest.update(self.ids.tobytes())
        return digest.hexdigest()
