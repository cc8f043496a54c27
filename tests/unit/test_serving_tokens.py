"""Tokens without the padding that the tokenizer's file asks for, and texts that have no known word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import Unigram, WordLevel, WordPiece
from tokenizers.normalizers import BertNormalizer, Sequence
from tokenizers.pre_tokenizers import BertPreTokenizer, Metaspace, Whitespace
from tokenizers.processors import TemplateProcessing

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


def pieces(folder: Path, kind: str) -> Path:
    """A tokenizer with a few pieces and one for all that is unknown."""
    words = ["chair", "!", "(", "1", "♥"]
    if kind == "wordpiece":
        model: object = WordPiece(
            {piece: n for n, piece in enumerate(["[PAD]", "[UNK]", "[CLS]", *words])}, unk_token="[UNK]"
        )
    else:
        model = Unigram(
            [("[PAD]", 0.0), ("[UNK]", 0.0), ("[CLS]", 0.0), ("▁", -3.0)] + [(word, -2.0) for word in words],
            1,
        )
    tokenizer = Tokenizer(model)
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]"])
    tokenizer.normalizer = Sequence([BertNormalizer(lowercase=True)])
    tokenizer.pre_tokenizer = BertPreTokenizer() if kind == "wordpiece" else Metaspace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 2)])
    tokenizer.save(str(folder / f"{kind}.json"))
    return folder / f"{kind}.json"


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
@pytest.mark.parametrize(
    ("text", "readable"),
    [
        ("chair", True),
        ("ＣＨＡＩＲ", True),
        ("ソファ chair", True),
        ("♥", True),
        ("①", True),
        ("!", True),
        ("🪑", False),
        ("ソファ", False),
        ("🪑!", False),
        ("(ソファ) ! 🪑", False),
        ("\x01\x02", False),
        ("\u200b\u200d", False),
        ("\ufe0f", False),
        ("\ufffd", False),
        ("\ue000", False),
        ("[CLS]", False),
        ("[UNK] [UNK]", False),
    ],
)
def test_a_text_is_readable_by_a_word_that_the_tokenizer_knows(
    tmp_path: Path, kind: str, text: str, readable: bool
) -> None:
    tokens = Tokens(pieces(tmp_path, kind), 16)
    assert tokens.read(["chair", text])[2].tolist() == [True, readable]


def test_what_is_cut_off_is_not_read(tmp_path: Path) -> None:
    tokens = Tokens(pieces(tmp_path, "wordpiece"), 4)
    assert tokens.read(["ソ フ ァ chair", "ソ フ chair"])[2].tolist() == [False, True]


def test_letters_of_every_width_are_the_same_tokens(tmp_path: Path) -> None:
    tokens = Tokens(pieces(tmp_path, "wordpiece"), 8)
    numbers, _ = tokens(["chair 1", "ｃｈａｉｒ\u3000１", "𝐂𝐇𝐀𝐈𝐑\u00a0①"])
    np.testing.assert_array_equal(numbers[1:], numbers[:1].repeat(2, axis=0))
