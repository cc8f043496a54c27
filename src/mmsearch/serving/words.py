"""The form of a text in which towers read it."""

from __future__ import annotations

import unicodedata

UNREADABLE = "unreadable_text"
"""begins the refusal of a text without a word that a tower knows; clients recognize it"""
INVISIBLE = ("Cc", "Cf", "Co", "Cs", "Z", "M")
"""Unicode categories that show nothing by themselves"""


def normalized(text: str) -> str:
    """Return the text in NFKC: full-width letters, ligatures and composed signs as the plain ones."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def invisible(text: str) -> bool:
    """Return whether a text has only blanks, controls, and marks without a letter."""
    return all(
        letter == "\N{REPLACEMENT CHARACTER}" or unicodedata.category(letter).startswith(INVISIBLE)
        for letter in text
    )
