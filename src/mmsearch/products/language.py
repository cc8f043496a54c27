"""Language detection by py3langid, whose wheel includes its model."""

from __future__ import annotations

from collections.abc import Iterable

ENOUGH = 300
"""minimum size of the distinct words in bytes; a few product names are ambiguous between languages"""
READ = 1 << 16
"""maximum size of the distinct words in bytes"""
MARGIN = 10.0
"""minimum margin between the two most likely languages, as a difference of natural logarithms"""


def language_of(texts: Iterable[str]) -> str | None:
    """Return the ISO 639-1 code of the texts' language, or None if it cannot be determined.

    Each distinct word counts once, so that a phrase repeated in every product has no extra weight.
    """
    from py3langid import rank

    words: dict[str, None] = {}
    size = 0
    for text in texts:
        for word in text.lower().split():
            if word not in words:
                words[word] = None
                size += len(word.encode()) + 1
        if size >= READ:
            break
    if size < ENOUGH:
        return None
    (first, likely), (_, next_likely), *_ = rank(" ".join(words))
    return str(first) if likely - next_likely >= MARGIN else None
