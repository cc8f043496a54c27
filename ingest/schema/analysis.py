"""The analyzers of a language for an index of products, and the text fields that use them.

Each language has three analyzers. Those of products and of queries split words at changes of letters, digits
and case (`usb3`, `PowerShot`, `led_lamp`), stem and fold them; that of products keeps all forms in the index.
The third one does not split or stem. The sub-field `exact` uses it, so that exact words score higher.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mmsearch.ingest.schema.languages import Filter, Language

OURS = "mmsearch_"
"""what the names of our analysers, filters and similarities begin with"""
SYNONYMS = f"{OURS}synonyms"
"""the filter that a shop may define: the words of queries go through it"""
LONG = f"{OURS}long"
EXACT = "exact"
"""the sub-field of whole words"""
_PARTS = f"{OURS}parts"
PLAIN = f"{OURS}plain"
"""the analyser of words as a shop writes its synonyms"""
_SHARED: dict[str, Any] = {
    _PARTS: {"type": "word_delimiter_graph", "preserve_original": True, "stem_english_possessive": False},
    f"{OURS}pairs": {"type": "cjk_bigram"},
    f"{OURS}letters": {"type": "cjk_bigram", "output_unigrams": True},
}
_SIMILARITY = {LONG: {"type": "BM25", "b": 0.4}}
"""a description is long because it says more, not because it repeats itself"""


def index_analyser(language: Language) -> str:
    return f"{OURS}{language.code}"


def query_analyser(language: Language) -> str:
    return f"{OURS}{language.code}_query"


def exact_analyser(language: Language) -> str:
    return f"{OURS}{language.code}_{EXACT}"


def settings(languages: Iterable[Language], *, synonyms: bool = False) -> dict[str, Any]:
    """Return the settings `analysis` and `similarity` of an index with texts in these languages.

    With `synonyms`, queries use the filter SYNONYMS, which the user defines.
    """
    filters: dict[str, Any] = dict(_SHARED)
    analysers: dict[str, Any] = {}
    for language in languages:
        for name, chain in _chains(language, synonyms=synonyms).items():
            chosen = [_named(each, f"{OURS}{language.code}", filters) for each in chain]
            analysers[name] = {"type": "custom", "tokenizer": language.tokenizer, "filter": chosen}
    if synonyms:
        analysers[PLAIN] = {"type": "custom", "tokenizer": "standard", "filter": ["lowercase"]}
    return {"analysis": {"filter": filters, "analyzer": analysers}, "similarity": dict(_SIMILARITY)}


def text_field(language: Language, *, exact: bool = False, long: bool = False) -> dict[str, Any]:
    """Return the mapping of a text in the language; `exact` adds a sub-field, `long` is for descriptions."""
    similarity = {"similarity": LONG} if long else {}
    field: dict[str, Any] = {
        "type": "text",
        "analyzer": index_analyser(language),
        "search_analyzer": query_analyser(language),
        **similarity,
    }
    if exact:
        field["fields"] = {EXACT: {"type": "text", "analyzer": exact_analyser(language), **similarity}}
    return field


def analysed_by_us(field: Mapping[str, Any]) -> bool:
    """Return whether a text field has an analyzer of mmsearch or OpenSearch's default."""
    return str(field.get("analyzer", OURS)).startswith(OURS)


def unanalysed(field: Mapping[str, Any]) -> dict[str, Any]:
    """Return a text field without the settings of `text_field`; the user's own analyzer stays."""
    rest = {name: value for name, value in field.items() if not str(value).startswith(OURS)}
    fields: Mapping[str, Any] = rest.pop("fields", {})
    others = {name: each for name, each in fields.items() if name != EXACT or not analysed_by_us(each)}
    return rest | ({"fields": others} if others else {})


def without_ours(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return an index's settings without mmsearch's analyzers, filters and similarities, but with the user's
    synonyms.
    """

    def theirs(named: Mapping[str, Any]) -> dict[str, Any]:
        return {name: each for name, each in named.items() if not name.startswith(OURS) or name == SYNONYMS}

    analysis = {kind: theirs(named) for kind, named in settings.get("analysis", {}).items()}
    kept = {"analysis": {kind: named for kind, named in analysis.items() if named}}
    kept["similarity"] = theirs(settings.get("similarity", {}))
    rest = {name: value for name, value in settings.items() if name not in kept}
    return rest | {name: value for name, value in kept.items() if value}


def has_synonyms(settings: Mapping[str, Any]) -> bool:
    """Return whether an index's settings define the user's synonyms."""
    return SYNONYMS in settings.get("analysis", {}).get("filter", {})


def _chains(language: Language, *, synonyms: bool) -> dict[str, list[Filter]]:
    """Return the filters of the three analyzers."""
    fold: list[Filter] = ["asciifolding"] if language.folded else []
    first: list[Filter] = [*language.before, _PARTS]
    if language.bigrams:
        # Single letters are words too, so that a query of one letter finds them.
        letters: list[Filter] = [*first, "flatten_graph", language.lowercase, *fold]
        words = [SYNONYMS] if synonyms else []
        return {
            index_analyser(language): [*letters, f"{OURS}letters"],
            query_analyser(language): [*letters, *words, f"{OURS}pairs"],
            exact_analyser(language): [*letters, f"{OURS}letters"],
        }
    rest: list[Filter] = [*language.normalized]
    if language.stops:
        rest.append({"type": "stop", "stopwords": f"_{language.name}_"})
    rest += language.after
    if language.stemmer:
        rest.append({"type": "stemmer", "language": language.stemmer})
    rest += fold
    # Synonym filters do not support token graphs.
    asked: list[Filter] = (
        [*first, "flatten_graph", language.lowercase, SYNONYMS]
        if synonyms
        else [
            *first,
            language.lowercase,
        ]
    )
    return {
        index_analyser(language): [*first, "flatten_graph", language.lowercase, *rest],
        query_analyser(language): [*asked, *rest],
        exact_analyser(language): [language.lowercase, *fold],
    }


def _named(each: Filter, name: str, filters: dict[str, Any]) -> str:
    """Return a filter's name. Add a filter with settings to `filters`, once."""
    if isinstance(each, str):
        return each
    for there, about in filters.items():
        if about == each:
            return there
    kind = f"{name}_{each['type']}"
    known = kind if kind not in filters else f"{kind}_{sum(other.startswith(kind) for other in filters)}"
    filters[known] = each
    return known
