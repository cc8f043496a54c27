"""Words and stems, as keywords and titles are compared with."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d_]+")
_TERM = re.compile(r"[^\W_]+")
_ENDINGS = ("ings", "ing", "ies", "ers", "er", "ed", "es", "s", "y", "e")


def words(text: str) -> list[str]:
    """The runs of letters in a text, in lower case; digits and punctuation part them and are dropped."""
    return _WORD.findall(text.lower())


def terms(text: str) -> list[str]:
    """The runs of letters and digits in a text, in lower case: `iPhone 15` is two, `RTX4090` one."""
    return _TERM.findall(text.lower())


def stem(word: str) -> str:
    """A word without its English ending, where three letters remain.

    Deliberately greedy: a keyword counts as new only where no reading of it stands in the title.
    """
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def stems(text: str) -> frozenset[str]:
    """The stems of a text's words."""
    return frozenset(stem(word) for word in words(text))
