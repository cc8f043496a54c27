"""The body of a search: by words, an image or a product, lexical, neural or hybrid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmsearch.errors import SearchError
from mmsearch.search.clauses import ALONE, ClauseNames

LEXICAL_FIELDS = ["title^2", "description", "category", "brand"]
WINDOW = 100
"""hits that each leg of a hybrid is asked for"""


def mode_of(text: str, picture: str, like: str | None, mode: str | None) -> str:
    """The mode of a question: words are asked by a hybrid; a picture or a product has nothing to ask BM25
    with.

    Raises SearchError when there is nothing to search by.
    """
    mode = mode or ("hybrid" if text else "neural")
    if not (text or picture or like):
        raise SearchError(
            'expected words, --image or --like to search by, got none; try: mmsearch search "chair"'
        )
    if mode != "neural" and not text:
        raise SearchError(
            f"expected words for the {mode} search, got none; add them, or choose --mode neural"
        )
    return mode


def search_body(
    text: str,
    *,
    picture: str = "",
    like: str | None = None,
    mode: str | None = None,
    k: int = 10,
    filters: Mapping[str, str] | None = None,
    field: str = "embedding",
    names: ClauseNames = ALONE,
) -> dict[str, Any]:
    """The `_search` body; `picture` is base64, `names` what the node calls the clauses.

    Raises SearchError when there is nothing to search by.
    """
    mode = mode_of(text, picture, like, mode)
    only = _only(filters or {})
    lexical: dict[str, Any] = {
        "multi_match": {"query": text, "fields": LEXICAL_FIELDS, "type": "cross_fields", "_name": "lexical"}
    }
    if mode == "lexical":
        query: dict[str, Any] = {"bool": {"must": [lexical], "filter": [only] if only else []}}
    else:
        asked: dict[str, Any] = {"k": k if mode == "neural" else WINDOW, "_name": "dense"}
        if text:
            asked["query_text"] = text
        if picture:
            asked["query_image"] = picture
        if like:
            asked["like"] = {"_id": like}
        if mode == "neural":
            if only:
                asked["filter"] = only
            query = {names.neural: {field: asked}}
        else:
            legs = [lexical, {names.neural: {field: asked}}]
            query = {names.hybrid: {"queries": legs, "pagination_depth": WINDOW}}
            if only:
                query[names.hybrid]["filter"] = only
    return {"size": k, "query": query, "_source": ["title", "image", "category", "brand", "price"]}


def _only(filters: Mapping[str, str]) -> dict[str, Any] | None:
    """Each FIELD=VALUE exactly; a text field is asked by its keyword, an unknown field is an attribute."""
    clauses: list[dict[str, Any]] = []
    for field, value in filters.items():
        if field in ("category", "brand"):
            clauses.append({"term": {f"{field}.keyword": value}})
        elif field in ("title", "description"):
            clauses.append({"match": {field: {"query": value, "operator": "and"}}})
        elif field == "price":
            clauses.append({"term": {field: value}})
        else:
            clauses.append({"term": {f"attributes.{field.removeprefix('attributes.')}": value}})
    if not clauses:
        return None
    return clauses[0] if len(clauses) == 1 else {"bool": {"filter": clauses}}
