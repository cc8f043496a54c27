"""Several values in one cell: pictures, categories, and their levels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

SEPARATOR = " > "
"""between the levels of a category, as they are stored"""
_LEVELS = re.compile(r"\s*(?:->|>|»|›)\s*")
_URLS = re.compile(r"[\s,;|]+(?=(?:https?:)?//[^/\s])|[\s,;|]+(?=data:image/)", re.IGNORECASE)
_IS_URL = re.compile(r"(?:https?:)?//|data:", re.IGNORECASE)
_PATHS = tuple(map(re.compile, (r"[ \t]*[\n\r|]+\s*", r"\s*;\s*", r"\s*,\s*")))
_IS_PICTURE = re.compile(r"[^\n\r|]+\.(?:jpe?g|jfif|png|webp|gif|avif|tiff?|bmp)(?:[?#].*)?", re.IGNORECASE)
_MAY_BE_SEVERAL = re.compile(r"[\s,;|]")
_MAY_BE_LISTED = re.compile(r"[>»›;|\n\r]")
_LISTED = re.compile(r"\s*[\n\r|;]\s*")
_COMMA = re.compile(r"\s*,\s*")


def pictures(cell: str) -> tuple[str, ...]:
    """Return the picture references of a cell.

    URLs are separated where another begins, so that commas inside one stay. Paths are separated by line
    breaks, `|`, `;` or commas if each part ends like the name of a picture.
    """
    cell = cell.strip()
    if not _MAY_BE_SEVERAL.search(cell):
        return (cell,) if cell else ()
    if _IS_URL.match(cell):
        return tuple(url for part in _URLS.split(cell) if (url := part.strip(" \t\r\n,;|")))
    for separator in _PATHS:
        parts = [part for part in separator.split(cell) if part]
        if len(parts) > 1 and all(map(_IS_PICTURE.fullmatch, parts)):
            return tuple(parts)
    return (cell,) if cell else ()


def categories(cell: str) -> tuple[str, ...]:
    """Return the categories of a cell, the levels of each joined by SEPARATOR.

    `A > B, A > C` are two, since each part has levels and the same first one; other commas are of a name.
    """
    if not _MAY_BE_LISTED.search(cell):
        cell = cell.strip()
        return (cell,) if cell else ()
    parts = [part for part in _LISTED.split(cell) if part]
    if len(parts) == 1:
        each = _COMMA.split(parts[0])
        if all(_LEVELS.search(part) for part in each) and len({_LEVELS.split(part)[0] for part in each}) == 1:
            parts = each
    return tuple(dict.fromkeys(found for part in parts if (found := leveled(part))))


def leveled(category: str) -> str:
    """Return a category with its levels joined by SEPARATOR: `A>B` and `A » B` are `A > B`."""
    if not _LEVELS.search(category):
        return category.strip()
    return SEPARATOR.join(part for level in _LEVELS.split(category) if (part := level.strip()))


def levels(names: Iterable[str]) -> Iterator[str]:
    """Yield each level of categories once, from the top: A, A > B, A > B > C."""
    seen: set[str] = set()
    for name in names:
        parts = name.split(SEPARATOR)
        for depth in range(1, len(parts) + 1):
            level = SEPARATOR.join(parts[:depth])
            if level not in seen:
                seen.add(level)
                yield level
