"""Words and stems, for the comparison of keywords with titles."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d_]+")
_TERM = re.compile(r"[^\W_]+")
_ENDINGS = ("ings", "ing", "ies", "ers", "er", "ed", "es", "s", "y", "e")


def words(text: str) -> list[str]:
    """Return the sequences of letters in a text, in lower case. Digits and punctuation are separators."""
    return _WORD.findall(text.lower())


def terms(text: str) -> list[str]:
    """Return the sequences of letters and digits in a text, in lower case: `iPhone 15` is two, `RTX4090`
    one.
    """
    return _TERM.findall(text.lower())


def stem(word: str) -> str:
    """Return a word without its English ending, if at least three letters remain.

    Deliberately aggressive: a keyword counts as new only if no form of it is in the title.
    """
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def stems(text: str) -> frozenset[str]:
    """Return the stems of a text's words."""
    return frozenset(stem(word) for word in words(text))
