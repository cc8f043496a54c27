"""A WordPiece vocabulary from a shop's own texts."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from mmsearch.errors import TrainingError
from mmsearch.serving.words import normalized

PADDING, UNKNOWN, START, END = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
"""in the order of their ids; padding must be 0"""
CONTINUED = "##"
SIZE = 16_000
TWICE = 2
"""occurrences of a pair of pieces below which it becomes no piece"""


def trained(texts: Sequence[str], size: int = SIZE) -> Tokenizer:
    """Return a WordPiece tokenizer with at most `size` pieces, and every character of `texts`.

    Texts are cleaned and split as BERT's uncased models do: lower case, without accents, at spaces and signs.
    The same texts give the same tokenizer. Raise TrainingError for texts without a word.
    """
    plain = [normalized(text) for text in texts]
    learning = _tokenizer({UNKNOWN: 0})
    inner = {sign for text in plain for word in _words(learning, text) for sign in word[1:]}
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=TWICE,
        # The trainer numbers the signs inside words in the order of a hash table, and prefers the lower
        # number among equally frequent pairs: named here, they are numbered in the order of the alphabet.
        special_tokens=[*SPECIAL, *(CONTINUED + sign for sign in sorted(inner))],
        continuing_subword_prefix=CONTINUED,
        show_progress=False,
    )
    learning.train_from_iterator(plain, trainer)
    pieces: dict[str, int] = json.loads(learning.to_str())["model"]["vocab"]
    if len(pieces) == len(SPECIAL):
        raise TrainingError(
            "expected texts with words to make a vocabulary of, got none; name a catalog with titles"
        )
    # A tokenizer of its own, for which only the four are special.
    tokenizer = _tokenizer(pieces)
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        special_tokens=[(sign, SPECIAL.index(sign)) for sign in (START, END)],
    )
    return tokenizer


def _tokenizer(pieces: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(
        models.WordPiece(
            pieces,
            unk_token=UNKNOWN,
            max_input_chars_per_word=100,
            continuing_subword_prefix=CONTINUED,
        )
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=CONTINUED)
    return tokenizer


def _words(tokenizer: Tokenizer, text: str) -> list[str]:
    cleaned = tokenizer.normalizer.normalize_str(text)
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(cleaned)]
