"""Builds search bodies: by text, image or product; lexical, neural or hybrid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmsearch.errors import SearchError
from mmsearch.search.clauses import ALONE, ClauseNames
from mmsearch.search.filters import FLAT, Types, clause
from mmsearch.search.lexical import DEFAULT, Clause, filled, named

LEGS = ("lexical", "dense")
"""the legs of a hybrid, in the order of its weights"""
WINDOW = 100
"""hits that each leg of a hybrid is asked for"""
SHOWN = ("title", "image", "category", "brand", "price", "currency")
"""fields that a hit carries"""


def mode_of(text: str, picture: str, like: str | None, mode: str | None) -> str:
    """Return the default mode: hybrid for a text; neural for a picture or a product, which BM25 cannot
    search.

    Raise SearchError if there is nothing to search by.
    """
    mode = mode or ("hybrid" if text else "neural")
    if not (text or picture or like):
        raise SearchError('expected a text, --image or --like, got none; try: mmsearch search "chair"')
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
    filters: Mapping[str, Any] | None = None,
    weights: Sequence[float] | None = None,
    text_to_image: float | None = None,
    field: str = "embedding",
    names: ClauseNames = ALONE,
    lexical: Clause = DEFAULT,
    types: Types | None = FLAT,
    collapse: str | None = None,
) -> dict[str, Any]:
    """Return the `_search` body. `picture` is base64, `names` are the clause names on the node, `lexical` is
    the query of the index's search template.

    `filters` are by field: a value, a list of alternatives, or a range of numbers or dates such as {"gte":
    10, "lt": 20}; `types` are the types of the index's attributes. `collapse` is a field: only the best hit
    of each of its values is returned, for example `group` for the variants of a product. `weights` are the
    weights of a hybrid's legs in the order of LEGS; only their ratio matters. `text_to_image` is the weight,
    0 to 1, of the similarity between the text and a product's image; it replaces that of the index.

    Raise SearchError if there is nothing to search by, or if filters or weights are invalid.
    """
    mode = mode_of(text, picture, like, mode)
    if weights is not None and mode != "hybrid":
        raise SearchError(f"expected weights only for a hybrid search, got a {mode} search; leave them out")
    if text_to_image is not None:
        _require_share(text_to_image, text, mode)
    only = clause(filters or {}, types)
    words = named(filled(lexical, text), LEGS[0])
    if mode == "lexical":
        query: dict[str, Any] = {"bool": {"must": [words], "filter": [only] if only else []}}
    else:
        asked: dict[str, Any] = {"_name": "dense"}
        # Collapsing leaves fewer hits.
        asked["k"] = k if mode == "neural" and not collapse else WINDOW
        if text:
            asked["query_text"] = text
        if text_to_image is not None:
            asked["text_to_image"] = text_to_image
        if picture:
            asked["query_image"] = picture
        if like:
            asked["like"] = {"_id": like}
        if mode == "neural":
            if only:
                asked["filter"] = only
            query = {names.neural: {field: asked}}
        else:
            legs = [words, {names.neural: {field: asked}}]
            query = {names.hybrid: {"queries": legs, "pagination_depth": WINDOW}}
            if weights is not None:
                query[names.hybrid]["fusion"] = _weighed(weights)
            if only:
                query[names.hybrid]["filter"] = only
    body = {"size": k, "query": query, "_source": list(SHOWN)}
    return body | (collapsed_by(collapse) if collapse else {})


def _require_share(text_to_image: float, text: str, mode: str) -> None:
    if not isinstance(text_to_image, int | float) or not 0 <= text_to_image <= 1:
        raise SearchError(f"expected text_to_image from 0 to 1, got {text_to_image!r}")
    if mode == "lexical" or not text:
        raise SearchError(
            "expected text_to_image only for words that a neural leg searches by, got "
            f"{'a lexical search' if text else 'no words'}; leave it out"
        )


def collapsed_by(field: str) -> dict[str, Any]:
    """Return the part of a search body that keeps only the best hit for each value of a field."""
    return {"collapse": {"field": f"{field}.keyword" if field in ("category", "brand") else field}}


def _weighed(weights: Sequence[float]) -> dict[str, Any]:
    """Return the `fusion` of a hybrid with the default technique and these weights, scaled to the sum 1."""
    if (
        len(weights) != len(LEGS)
        or not all(isinstance(weight, int | float) and 0 <= weight < math.inf for weight in weights)
        or not sum(weights)
    ):
        raise SearchError(
            f"expected a weight from 0 up for each of the legs {' and '.join(LEGS)}, not all 0, got "
            f"{list(weights)!r}"
        )
    parameters = {"weights": [weight / sum(weights) for weight in weights]}
    return {"combination": {"technique": "arithmetic_mean", "parameters": parameters}}
