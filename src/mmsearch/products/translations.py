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
"""the language of a title where none is asked for: that of the default encoder"""


@lru_cache(4096)
def translation(name: str) -> tuple[str, str] | None:
    """The field and the language of a record's key, or None where it is no translation."""
    found = _KEY.fullmatch(name)
    return (found[1].lower(), code(found[2])) if found else None


def code(written: str) -> str:
    """A language's code as we write it: `de`, `pt-br`."""
    return written.lower().replace("_", "-")


def key(field: str, language: str) -> str:
    """The key of a translation as an attribute."""
    return f"{field}_{language}"


def spread(values: dict[str, Any], rest: dict[str, Any]) -> None:
    """A text that is an object of languages becomes one key a language in `rest`."""
    for field in TRANSLATED:
        by_language = values.get(field)
        if isinstance(by_language, dict) and by_language and all(map(_CODE.fullmatch, by_language)):
            values[field] = None
            for language, text in by_language.items():
                rest.setdefault(key(field, code(language)), text)


def choose(values: dict[str, Any], rest: dict[str, Any], language: str | None, *, other: bool = True) -> None:
    """Where a record has no title or description of its own, the one in `language` becomes it.

    With `other` a title in another language does where there is none in that, and a description is taken in
    the language of the title.
    """
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
    """language → key, of the translations of a field that are texts."""
    found = ((translation(name), name) for name, value in rest.items() if isinstance(value, str))
    return {about[1]: name for about, name in found if about and about[0] == field}
