"""What a random product scores in a vector search, the floor of a leg's scores in a hybrid.

Vectors of texts are never opposite, and seldom orthogonal: a product that has nothing to do with a query
scores above 0.5 by cosine. A hybrid counts a leg's scores from there. No judgments are needed: titles of some
products are searched among other products, by the clause that answers searches.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask
from mmsearch.clients.retry import Patience
from mmsearch.ingest.measuring.sample import random_products
from mmsearch.ingest.product_index import own_meta
from mmsearch.ingest.product_index.target import Target
from mmsearch.search.clauses import ClauseNames, served

KEY = "random_scores"
"""the key of `_meta.mmsearch`: field → score"""
SAMPLE = 100
"""products that are scored; an index with fewer is measured by a later run"""
QUERIES = 32
_TITLE_CHARACTERS = 200
Say = Callable[[str], None]


def measure_once(client: OpenSearch, target: Target, patience: Patience, say: Say) -> None:
    """Measure the vector fields of an index that have no random score yet, and write them into its `_meta`.

    An index with fewer than SAMPLE titles is left as it is. What cannot be measured is said. Raise AwayError
    when OpenSearch stays away.
    """
    try:
        known = patience.call(lambda: own_meta.own_meta(client, target.index)).get(KEY, {})
        missing = [field for field in target.fields if field not in known]
        if not missing:
            return
        products = patience.call(lambda: _sample(client, target.index))
        if len(products) < SAMPLE:
            return
        found = patience.call(lambda: _scores(client, target.index, missing, products))
        if any(found.values()):
            patience.call(lambda: own_meta.write(client, target.index, KEY, {**known, **found}))
    except HttpError as error:
        say(
            f"expected to measure what a random product of {target.index} scores, got {error}; hybrids count "
            "vector scores from 0 until an ingest can measure it"
        )


def _sample(client: OpenSearch, index: str) -> list[tuple[str, str]]:
    """Return the ids and titles of up to SAMPLE random products that have a title."""
    found = random_products(client, index, SAMPLE, ["title"], seed=SAMPLE)
    titles = ((each, source.get("title")) for each, source in found)
    return [(each, title[:_TITLE_CHARACTERS]) for each, title in titles if isinstance(title, str) and title]


def _scores(
    client: OpenSearch, index: str, fields: Sequence[str], products: Sequence[tuple[str, str]]
) -> dict[str, float]:
    """Return by field the mean score of products by titles of other products. Raise HttpError if a search
    fails.
    """
    names = served(client, index)
    return {field: _score(client, index, names, field, products) for field in fields}


def _score(
    client: OpenSearch, index: str, names: ClauseNames, field: str, products: Sequence[tuple[str, str]]
) -> float:
    lines = []
    for query, title in products[:QUERIES]:
        others = [product for product, _ in products if product != query]
        asked = {"query_text": title, "k": len(others), "filter": {"ids": {"values": others}}}
        body = {
            "size": len(others),
            "_source": False,
            "query": {names.neural: {field: asked}},
            # The index's search pipeline would change the hits.
            "search_pipeline": "_none",
        }
        lines += ["{}", json.dumps(body, ensure_ascii=False)]
    headers = {"content-type": "application/x-ndjson"}
    reply = ask(client, "POST", f"/{index}/_msearch", body="\n".join(lines) + "\n", headers=headers)
    scores: list[float] = []
    for response in reply["responses"]:
        if "error" in response:
            raise _failure(response)
        scores += [float(hit.get("_score") or 0.0) for hit in response["hits"]["hits"]]
    return round(fmean(scores), 4) if scores else 0.0


def _failure(response: dict[str, Any]) -> HttpError:
    cause = (response["error"].get("root_cause") or [response["error"]])[0]
    return HttpError(response["status"], str(cause.get("type", "")), str(cause.get("reason", "")))
