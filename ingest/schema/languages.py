"""The languages that OpenSearch can analyze without plugins, each with the parts of its analyzer.

Stemmers, stop words and filters are those of OpenSearch's built-in analyzer of the language. For English,
German, Russian and CJK (no stemmer) they differ, because `bench lexical` measured better results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mmsearch.errors import ArgumentError

NONE = "none"
"""the option for texts of no one language: words are split and folded, and not stemmed"""
Filter = str | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Language:
    """`before` filters receive words as written, the others in lower case: `normalized` with stop words and
    `after` without them.

    `stemmer` is empty if there is none. `folded` is whether diacritics are optional in searches. They are not
    optional in languages where letters with marks are separate letters.
    """

    code: str
    name: str
    stemmer: str = ""
    before: tuple[Filter, ...] = ()
    lowercase: Filter = "lowercase"
    normalized: tuple[Filter, ...] = ()
    after: tuple[Filter, ...] = ()
    stops: bool = True
    folded: bool = True
    tokenizer: str = "standard"
    bigrams: bool = False
    """whether words are pairs of letters, since none are written between"""


def _elision(*articles: str) -> Filter:
    return {"type": "elision", "articles": list(articles), "articles_case": True}


def _lowercase(language: str) -> Filter:
    return {"type": "lowercase", "language": language}


_FRENCH = ("l", "m", "t", "qu", "n", "s", "j", "d", "c", "jusqu", "quoiqu", "lorsqu", "puisqu")
_ITALIAN = (
    *("c", "l", "all", "dall", "dell", "nell", "sull", "coll", "pell", "gl", "agl", "dagl", "degl", "negl"),
    *("sugl", "un", "m", "t", "s", "v", "d"),
)
_DUTCH = ["fiets=>fiets", "bromfiets=>bromfiets", "ei=>eier", "kind=>kinder"]
_SPELLINGS: Filter = {"type": "stemmer_override", "rules": ["gray=>grey"]}
"""one word for the two spellings of a color that images have, in `image_colours` too"""
_CJK: dict[str, Any] = {"before": ("cjk_width",), "bigrams": True, "stops": False}

_ALL = (
    Language(NONE, NONE, after=(_SPELLINGS,), stops=False),
    Language("ar", "arabic", "arabic", normalized=("decimal_digit",), after=("arabic_normalization",)),
    Language("bg", "bulgarian", "bulgarian"),
    Language(
        "bn",
        "bengali",
        "bengali",
        normalized=("decimal_digit", "indic_normalization", "bengali_normalization"),
    ),
    Language("ca", "catalan", "catalan", before=(_elision("d", "l", "m", "n", "s", "t"),)),
    Language("ckb", "sorani", "sorani", normalized=("sorani_normalization", "decimal_digit")),
    Language("cs", "czech", "czech"),
    Language("da", "danish", "danish", folded=False),
    Language("de", "german", "german", after=("german_normalization",)),
    Language("el", "greek", "greek", lowercase=_lowercase("greek")),
    Language(
        "en",
        "english",
        "light_english",
        before=({"type": "stemmer", "language": "possessive_english"},),
        after=(_SPELLINGS,),
    ),
    Language("es", "spanish", "light_spanish"),
    Language("et", "estonian", "estonian", folded=False),
    Language("eu", "basque", "basque"),
    Language("fa", "persian", normalized=("decimal_digit", "arabic_normalization", "persian_normalization")),
    Language("fi", "finnish", "finnish", folded=False),
    Language("fr", "french", "light_french", before=(_elision(*_FRENCH),)),
    Language(
        "ga",
        "irish",
        "irish",
        before=({"type": "stop", "stopwords": ["h", "n", "t"], "ignore_case": True}, _elision("d", "m", "b")),
        lowercase=_lowercase("irish"),
    ),
    Language("gl", "galician", "galician"),
    Language(
        "hi", "hindi", "hindi", normalized=("decimal_digit", "indic_normalization", "hindi_normalization")
    ),
    Language("hu", "hungarian", "hungarian"),
    Language("hy", "armenian", "armenian"),
    Language("id", "indonesian", "indonesian"),
    Language("it", "italian", "light_italian", before=(_elision(*_ITALIAN),)),
    Language("ja", "japanese", **_CJK),
    Language("ko", "korean", **_CJK),
    Language("lt", "lithuanian", "lithuanian"),
    Language("lv", "latvian", "latvian"),
    Language("nl", "dutch", "dutch", after=({"type": "stemmer_override", "rules": _DUTCH},)),
    Language("no", "norwegian", "norwegian", folded=False),
    Language("pt", "portuguese", "light_portuguese"),
    Language("pt-br", "brazilian", "brazilian"),
    Language("ro", "romanian", "romanian"),
    Language("ru", "russian", "light_russian"),
    Language("sv", "swedish", "swedish", folded=False),
    Language("th", "thai", normalized=("decimal_digit",), tokenizer="thai"),
    Language("tr", "turkish", "turkish", before=("apostrophe",), lowercase=_lowercase("turkish")),
    Language("zh", "chinese", **_CJK),
)
LANGUAGES = {language.code: language for language in _ALL}
"""code → language; `none` is one of them"""
_OTHER_CODES = {"nb": "no", "nn": "no", "pt_br": "pt-br"}


def language_of(written: str) -> Language:
    """Return the language by its code or OpenSearch's name. Raise ArgumentError if there is none."""
    wanted = written.strip().lower()
    wanted = _OTHER_CODES.get(wanted, wanted)
    for language in _ALL:
        if wanted in (language.code, language.name):
            return language
    raise ArgumentError(
        f"expected a language that OpenSearch analyses, {', '.join(LANGUAGES)}, got {written!r}; name the "
        f"nearest, or {NONE}"
    )
