"""Convert an open_clip model's tokenizer to a `tokenizer.json`, so that serving does not need open_clip."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from mmsearch.errors import WeightsError
from mmsearch.models.architecture import Tower
from mmsearch.models.towers import checkpoints

PUNCTUATION = Regex("[" + "".join(f"\\{sign}" for sign in string.punctuation) + "]")
SPACES = Regex(r"\s+")


def write_tokenizer(tower: Tower, file: Path) -> None:
    """Write the tokenizer of a CLIP text tower: CLIP's own or the Hugging Face tokenizer of its config.

    Raise WeightsError if it cannot be converted or does not fit the model.
    """
    model = checkpoints.load(tower)
    theirs = tokenizer_of(tower, model)
    _check_lengths(tower, model)
    own = not hasattr(theirs, "tokenizer")
    written = _clips_own(theirs) if own else _hugging_face(theirs)
    words, known = written.get_vocab_size(), int(model.vocab_size)
    # Vocabulary sizes are rounded up in models; CLIP's tokenizer marks the end of a text by the highest id.
    if words > known or (own and words != known):
        raise WeightsError(
            f"expected a tokenizer of {known} words for {tower.name}, as its model has, got {words}; "
            "let its config name the tokenizer that it was trained with"
        )
    written.save(str(file))


def tokenizer_of(tower: Tower, model: Any) -> Any:
    """Return open_clip's tokenizer of a tower. Raise WeightsError if its files cannot be loaded."""
    import open_clip

    name = checkpoints.model_name(tower)
    try:
        theirs = open_clip.get_tokenizer(name)
    except (OSError, ValueError) as error:
        named = (open_clip.get_model_config(name) or {}).get("text_cfg", {}).get("hf_tokenizer_name")
        raise WeightsError(
            f"expected the tokenizer {named} of {tower.name} in a folder or from a hub, got "
            f"{type(error).__name__}; let `weights` be a folder that holds open_clip_config.json, the "
            ".safetensors file and tokenizer.json"
        ) from error
    if getattr(theirs, "tokenizer_mode", ""):
        raise WeightsError(
            f"expected a tokenizer of the usual mode for {tower.name}, got {theirs.tokenizer_mode!r}; use "
            "another model"
        )
    return theirs


def padding(theirs: Any) -> int:
    """Return the token id that follows the end of a text."""
    inner = getattr(theirs, "tokenizer", None)
    return 0 if inner is None or inner.pad_token_id is None else int(inner.pad_token_id)


def dropped(theirs: Any) -> int | None:
    """Return the token id that the model reads as 0, or None."""
    return int(theirs.tokenizer.sep_token_id) if getattr(theirs, "strip_sep_token", False) else None


def _check_lengths(tower: Tower, model: Any) -> None:
    """Check `max_tokens`: the model's length if that is fixed, else at most the model's longest."""
    length = int(model.context_length)
    given = (int(tower.numbers["max_tokens"]), tower.numbers.get("pad_to"))
    fixed = not hasattr(getattr(model, "text", None), "pooler")
    if (fixed and given != (length, length)) or given[0] > length:
        raise WeightsError(
            f"expected max_tokens {length}{f' and pad_to {length}' if fixed else ' or less'} for "
            f"{tower.name}, got {given[0]} and {given[1]}; correct the architecture"
        )


def _hugging_face(theirs: Any) -> Tokenizer:
    """Return open_clip's text cleaning and the Hugging Face tokenizer that follows it."""
    inner = getattr(theirs.tokenizer, "backend_tokenizer", None)
    if inner is None:
        raise WeightsError(
            f"expected a tokenizer with a tokenizer.json, got {type(theirs.tokenizer).__name__}; convert it"
        )
    copy = Tokenizer.from_str(inner.to_str())
    cleaned = CLEANED[theirs.clean_fn.__name__]()
    own = [] if copy.normalizer is None else [copy.normalizer]
    copy.normalizer = normalizers.Sequence([*cleaned, *own])
    return copy


def _whitespace() -> list[normalizers.Normalizer]:
    return [normalizers.Replace(SPACES, " "), normalizers.Strip()]


def _lower() -> list[normalizers.Normalizer]:
    return [*_whitespace(), normalizers.Lowercase()]


def _canonicalize() -> list[normalizers.Normalizer]:
    return [
        normalizers.Replace("_", " "),
        normalizers.Replace(PUNCTUATION, ""),
        normalizers.Lowercase(),
        *_whitespace(),
    ]


# Keys are the names of open_clip's cleaning functions. Their repair of broken encodings is omitted.
CLEANED = {
    "_clean_whitespace": _whitespace,
    "_clean_lower": _lower,
    "_clean_canonicalize": _canonicalize,
}


def _clips_own(theirs: Any) -> Tokenizer:
    """Return CLIP's byte-pair tokenizer."""
    tokenizer = Tokenizer(
        models.BPE(
            theirs.encoder, list(theirs.bpe_ranks), end_of_word_suffix="</w>", continuing_subword_prefix=""
        )
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), *_lower()])
    pieces = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pieces, "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    start, end = "<start_of_text>", "<end_of_text>"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, theirs.sot_token_id), (end, theirs.eot_token_id)],
    )
    return tokenizer
