"""Titles and descriptions in several languages: `{"title": {"en": …, "de": …}}`, `title.en`, `title_de`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

TRANSLATED = ("title", "description")
_KEY = re.compile(rf"({'|'.join(TRANSLATED)})[._]([a-z]{{2,3}}(?:[-_][a-z]{{2}})?)", re.IGNORECASE)
_CODE = re.compile(r"[a-z]{2,3}(?:[-_][a-z]{2})?", re.IGNORECASE)
_FIRST = "en"
"""default language of a title: that of the default encoder"""


@lru_cache(4096)
def translation(name: str) -> tuple[str, str] | None:
    """Return field and language of a record's key, or None if it is not a translation."""
    found = _KEY.fullmatch(name)
    return (found[1].lower(), code(found[2])) if found else None


def code(written: str) -> str:
    """Normalize a language code: `de`, `pt-br`."""
    return written.lower().replace("_", "-")


def key(field: str, language: str) -> str:
    """Return the attribute key of a translation."""
    return f"{field}_{language}"


def spread(values: dict[str, Any], rest: dict[str, Any]) -> None:
    """Add one key per language to `rest` for a text given as an object of languages."""
    for field in TRANSLATED:
        by_language = values.get(field)
        if isinstance(by_language, dict) and by_language and all(map(_CODE.fullmatch, by_language)):
            values[field] = None
            for language, text in by_language.items():
                rest.setdefault(key(field, code(language)), text)


def choose(values: dict[str, Any], rest: dict[str, Any], language: str | None, *, other: bool = True) -> None:
    """Use the translation in `language` as title or description if the record has none without a language.

    With `other`, a title in another language is used if there is none in `language`, and the description is
    taken in the language of the title.
    """
    if not rest:
        return
    wanted = language or (_FIRST if other else None)
    for field in TRANSLATED:
        if values.get(field) is not None:
            continue
        found = _texts(field, rest)
        if other and field == TRANSLATED[0] and wanted not in found:
            wanted = next(iter(found), wanted)
        if wanted in found:
            values[field] = rest.pop(found[wanted])


def _texts(field: str, rest: Mapping[str, Any]) -> dict[str, str]:
    """Return language → key for the translations of a field that are strings."""
    found = ((translation(name), name) for name, value in rest.items() if isinstance(value, str))
    return {about[1]: name for about, name in found if about and about[0] == field}
