"""Which language texts are in, by py3langid, whose model comes in its wheel."""

from __future__ import annotations

from collections.abc import Iterable

ENOUGH = 300
"""bytes of different words below which nothing is said: a few product names are like several languages"""
READ = 1 << 16
"""bytes of different words that are read at most"""
MARGIN = 10.0
"""how much more likely the first language has to be than the second, as a natural logarithm"""


def language_of(texts: Iterable[str]) -> str | None:
    """The ISO 639-1 code of the language that the texts are in, or None where that cannot be told.

    A word counts once: what every product says is no more evidence than what one says.
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
