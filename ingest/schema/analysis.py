"""A language's analysers for an index of products, and the text fields that use them.

Three a language. A product's words and a query's are split where letters, digits and case change (`usb3`,
`PowerShot`, `led_lamp`), stemmed, and folded; the product's keep every form in the index. The third one
neither splits nor stems: the sub-field `exact` is analysed by it, so that the very word counts for more.
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
    """The settings `analysis` and `similarity` of an index with texts in these languages.

    With `synonyms` the queries' words go through the filter SYNONYMS, which the shop defines.
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
    """The mapping of a text in the language; `exact` adds the sub-field, `long` is for descriptions."""
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
    """Whether a text field has an analyser of ours or OpenSearch's default, and none of the shop's own."""
    return str(field.get("analyzer", OURS)).startswith(OURS)


def unanalysed(field: Mapping[str, Any]) -> dict[str, Any]:
    """A text field without what `text_field` says; an analyser of the shop's own stays."""
    rest = {name: value for name, value in field.items() if not str(value).startswith(OURS)}
    fields: Mapping[str, Any] = rest.pop("fields", {})
    others = {name: each for name, each in fields.items() if name != EXACT or not analysed_by_us(each)}
    return rest | ({"fields": others} if others else {})


def without_ours(settings: Mapping[str, Any]) -> dict[str, Any]:
    """An index's settings without our analysers, filters and similarities; the shop's synonyms stay."""

    def theirs(named: Mapping[str, Any]) -> dict[str, Any]:
        return {name: each for name, each in named.items() if not name.startswith(OURS) or name == SYNONYMS}

    analysis = {kind: theirs(named) for kind, named in settings.get("analysis", {}).items()}
    kept = {"analysis": {kind: named for kind, named in analysis.items() if named}}
    kept["similarity"] = theirs(settings.get("similarity", {}))
    rest = {name: value for name, value in settings.items() if name not in kept}
    return rest | {name: value for name, value in kept.items() if value}


def has_synonyms(settings: Mapping[str, Any]) -> bool:
    """Whether an index's settings define the shop's synonyms."""
    return SYNONYMS in settings.get("analysis", {}).get("filter", {})


def _chains(language: Language, *, synonyms: bool) -> dict[str, list[Filter]]:
    """The filters of the three analysers."""
    fold: list[Filter] = ["asciifolding"] if language.folded else []
    first: list[Filter] = [*language.before, _PARTS]
    if language.bigrams:
        # A lone letter is a word too: products have every letter, and a query of one letter asks for it.
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
    # Synonyms cannot be found in a graph of words.
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
    """A filter's name; one with settings of its own is put among `filters`, once."""
    if isinstance(each, str):
        return each
    for there, about in filters.items():
        if about == each:
            return there
    kind = f"{name}_{each['type']}"
    known = kind if kind not in filters else f"{kind}_{sum(other.startswith(kind) for other in filters)}"
    filters[known] = each
    return known
