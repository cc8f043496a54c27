"""Tokens without the padding that the tokenizer's file asks for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from mmsearch.serving.tokens import Tokens


@pytest.fixture
def file(tmp_path: Path) -> Path:
    tokenizer = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1, "wooden": 2, "chair": 3}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_padding(length=128)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def test_rows_are_padded_to_the_longest_of_the_call(file: Path) -> None:
    numbers, mask = Tokens(file, 8)(["wooden chair", "chair"])
    np.testing.assert_array_equal(numbers, [[2, 3], [3, 0]])
    np.testing.assert_array_equal(mask, [[1, 1], [1, 0]])
    assert numbers.dtype == mask.dtype == np.int64


def test_long_texts_are_cut_and_a_fixed_length_is_kept(file: Path) -> None:
    numbers, mask = Tokens(file, 3, pad_to=5)(["chair chair chair chair"])
    np.testing.assert_array_equal(numbers, [[3, 3, 3, 0, 0]])
    np.testing.assert_array_equal(mask, [[1, 1, 1, 0, 0]])
