"""The input text of the towers, and the hashes that detect changes between runs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from mmsearch.products.record import Product
from mmsearch.serving.words import normalized

_PLAIN_WORD = re.compile(r"(?<![^\s!-/:-@\[-`{-~])[A-Za-z0-9]{1,60}(?![^\s!-/:-@\[-`{-~])")
"""letters of ASCII between blanks and punctuation; tokenizers give up on words of a hundred letters"""


def tower_text(product: Product, max_bytes: int = 0) -> str:
    """Return the product as one text. The most informative field comes first, since towers truncate after
    about a hundred tokens.

    The text is in NFKC, as the towers read it, so that its hash changes if and only if its vector does.
    `max_bytes` truncates the text at a character boundary; 0 means no limit.
    """
    parts = [product.title, " ".join(product.brand), ", ".join(product.category), product.description]
    text = normalized("\n".join(part for part in parts if part))
    encoded = text.encode()
    if max_bytes and len(encoded) > max_bytes:
        return encoded[:max_bytes].decode(errors="ignore")
    return text


def text_digest(text: str) -> str:
    """Return the hash of a text for the towers, empty for an empty one.

    Every tower knows the letters of a plain word. A text without one may be unreadable, which earlier
    releases encoded all the same; its hash differs from theirs, so that it is encoded again once.
    """
    if not text:
        return ""
    return digest([text.encode()] if _PLAIN_WORD.search(text) else [b"may be unread", text.encode()])


def digest(parts: Iterable[bytes]) -> str:
    """Return a hash of 32 hexadecimal characters over the parts and their boundaries. Collisions are
    negligible.
    """
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.hexdigest()[:32]
