"""A Product becomes the text that the towers read, and the hashes by which a later run knows what changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from mmsearch.products.record import Product


def tower_text(product: Product, max_bytes: int = 0) -> str:
    """The product as one text, the most telling field first, since towers read only the first hundred-
    odd tokens.

    `max_bytes` (0 for no limit) cuts it, never inside a character.
    """
    parts = [product.title, " ".join(product.brand), ", ".join(product.category), product.description]
    text = "\n".join(part for part in parts if part)
    encoded = text.encode()
    if max_bytes and len(encoded) > max_bytes:
        return encoded[:max_bytes].decode(errors="ignore")
    return text


def digest(parts: Iterable[bytes]) -> str:
    """32 hex characters over the parts and where each ends; enough that no two catalogs' texts ever
    meet."""
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.hexdigest()[:32]
