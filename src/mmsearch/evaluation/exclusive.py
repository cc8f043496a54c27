"""Exclusive matches: products that one system retrieves in its top k and the other does not, and their
relevance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mmsearch.evaluation.judgments import LABELS, Judgments
from mmsearch.evaluation.relevance import binary_view, gains
from mmsearch.evaluation.runs import Run


@dataclass(frozen=True)
class Exclusive:
    """The exclusive matches of `system` over `other` at one depth.

    products    the matches by query, best first; includes queries without matches
    per_query   mean number of matches per query
    relevant_per_query  mean number of relevant matches (bought, Exact or graded: see `view`)
    recall      float, mean over queries with relevant products: relevant exclusive matches / all relevant
    shares      label shares over all queries: E, S, C, I, E+S and unjudged; empty without labels
    """

    system: str
    other: str
    depth: int
    view: str
    products: Mapping[str, list[str]]
    per_query: float
    relevant_per_query: float
    recall: float
    shares: Mapping[str, float]


def exclusive(judgments: Judgments, system: Run, other: Run, depth: int) -> Exclusive:
    """Return the products in the top `depth` of `system` that are not in the top `depth` of `other`."""
    products = {
        query: _only(system.top(query, depth), other.top(query, depth)) for query in judgments.queries
    }
    view = binary_view(judgments)
    of_view = gains(judgments, view)
    relevant = {query: {p for p, gain in pairs.items() if gain > 0} for query, pairs in of_view.items()}
    findable = [query for query, wanted in relevant.items() if wanted]
    found = {query: len(relevant[query].intersection(products[query])) for query in findable}
    total = sum(map(len, products.values()))
    return Exclusive(
        system.name,
        other.name,
        depth,
        view,
        products,
        per_query=total / len(products) if products else 0.0,
        relevant_per_query=sum(found.values()) / len(products) if products else 0.0,
        recall=sum(found[q] / len(relevant[q]) for q in findable) / len(findable) if findable else 0.0,
        shares=_shares(judgments, products) if judgments.labels else {},
    )


def _only(ours: list[str], theirs: list[str]) -> list[str]:
    seen = set(theirs)
    return [product for product in ours if product not in seen]


def _shares(judgments: Judgments, products: Mapping[str, list[str]]) -> dict[str, float]:
    """Return label shares over the matches of labelled queries; zeros when there are no matches."""
    counts = dict.fromkeys((*LABELS, "unjudged"), 0)
    for query, labels in judgments.labels.items():
        for product in products[query]:
            counts[labels.get(product, "unjudged")] += 1
    total = sum(counts.values())
    shares = {label: count / total if total else 0.0 for label, count in counts.items()}
    return {
        **{label: shares[label] for label in LABELS},
        "E+S": shares["E"] + shares["S"],
        "unjudged": shares["unjudged"],
    }
