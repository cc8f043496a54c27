"""Tokenization of texts for a text tower."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# The few texts of a request do not benefit from more threads, and the towers need the cores.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from tokenizers import Tokenizer

from .known_words import KnownWords
from .words import invisible, normalized

Numbers = NDArray[np.int64]


class Tokens:
    """A tokenizer read from a `tokenizer.json`, with truncation at `max_tokens`.

    Texts are put into NFKC first. Rows are padded to the longest of the call, or to `pad_to` if the tower
    needs a fixed length. Padding settings of the file are ignored: some files pad every text to the full
    length, which makes a short query ten times as expensive.
    """

    def __init__(self, file: Path, max_tokens: int, pad_to: int | None = None) -> None:
        self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        self._pad_to = pad_to
        self._known = KnownWords(self._tokenizer)

    def __call__(self, texts: Sequence[str]) -> tuple[Numbers, Numbers]:
        """INPUT_IDS and ATTENTION_MASK of n texts, both int64 of shape [n, longest]; padding is 0 in both."""
        numbers, mask, _ = self.read(texts)
        return numbers, mask

    def read(self, texts: Sequence[str]) -> tuple[Numbers, Numbers, NDArray[np.bool_]]:
        """Return INPUT_IDS, ATTENTION_MASK, and by text whether it contains a word that the tower knows,
        bool [n].
        """
        plain = [normalized(text) for text in texts]
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(plain)]
        width = self._pad_to or max(len(ids) for ids in encoded)
        numbers = np.zeros((len(encoded), width), np.int64)
        mask = np.zeros((len(encoded), width), np.int64)
        readable = np.zeros(len(encoded), bool)
        for row, ids in enumerate(encoded):
            numbers[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
            readable[row] = self._known.among(numbers[row, : len(ids)]) and not invisible(plain[row])
        return numbers, mask, readable
