"""Which token numbers of a tokenizer are words that its tower knows."""

from __future__ import annotations

import json
import unicodedata

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from .words import INVISIBLE

# What tokenizers add to a piece to mark where words begin or end.
_MARKS = str.maketrans("", "", "▁Ġ")


class KnownWords:
    """Which token numbers of a tokenizer are words, by its `tokenizer.json`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        size = max(vocabulary.values(), default=-1) + 1
        self._words = np.zeros(size, bool)
        self._unknown = np.zeros(size, bool)
        for piece, number in vocabulary.items():
            self._words[number] = not _punctuation(piece)
        special = [each for each, token in tokenizer.get_added_tokens_decoder().items() if token.special]
        unknown = _unknown(tokenizer, vocabulary)
        self._known = np.ones(size, bool)
        self._known[[*special, *unknown]] = False
        self._words &= self._known
        self._unknown[unknown] = True

    def among(self, numbers: NDArray[np.int64]) -> bool:
        """Return whether the token numbers of one text, int64 [tokens], contain a known word.

        Punctuation beside an unknown word is not enough, since it would decide the whole vector.
        """
        if self._words[numbers].any():
            return True
        return bool(self._known[numbers].any() and not self._unknown[numbers].any())


def _unknown(tokenizer: Tokenizer, vocabulary: dict[str, int]) -> list[int]:
    model = json.loads(tokenizer.to_str())["model"]
    if isinstance(number := model.get("unk_id"), int):
        return [number]
    number = vocabulary.get(model.get("unk_token") or "")
    return [] if number is None else [number]


def _punctuation(piece: str) -> bool:
    text = piece.removeprefix("##").removesuffix("</w>").translate(_MARKS)
    return all(unicodedata.category(letter).startswith(("P", *INVISIBLE)) for letter in text)
