"""What counts as relevant, and how much: named views of judgments, each a gain for every judged pair.

| view | gain of a judged product |
| --- | --- |
| purchases | 1 when it was bought for the query |
| exact | 1 for E |
| useful | 1 for E and S |
| esci | E 1, S 0.1, C 0.01, I 0 (the gains of the ESCI paper, arXiv 2206.06588) |
| esci-script | E 1, S 0.01, C 0.1, I 0 (the paper's own script swaps S and C) |
| grade | the integer grade of the qrels, negative ones as 0 |
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.judgments import Judgments

Gains = Mapping[str, Mapping[str, float]]

LABEL_GAINS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "exact": {"E": 1.0, "S": 0.0, "C": 0.0, "I": 0.0},
        "useful": {"E": 1.0, "S": 1.0, "C": 0.0, "I": 0.0},
        "esci": {"E": 1.0, "S": 0.1, "C": 0.01, "I": 0.0},
        "esci-script": {"E": 1.0, "S": 0.01, "C": 0.1, "I": 0.0},
    }
)
VIEWS: Mapping[str, str] = MappingProxyType(
    {
        "purchases": "purchased",
        "exact": "Exact",
        "useful": "Exact or Substitute",
        "esci": "gains E 1, S 0.1, C 0.01, I 0",
        "esci-script": "gains as in the ESCI script, E 1, S 0.01, C 0.1, I 0",
        "grade": "graded",
    }
)


def gains(judgments: Judgments, view: str) -> Gains:
    """Return `{query: {product: gain}}` of one view, over the queries with judgments of its kind."""
    if view == "purchases":
        return {
            query: {product: float(count > 0) for product, count in pairs.items()}
            for query, pairs in judgments.purchases.items()
        }
    if view == "grade":
        return judgments.grades
    if view in LABEL_GAINS:
        of_label = LABEL_GAINS[view]
        return {
            query: {product: of_label[label] for product, label in pairs.items()}
            for query, pairs in judgments.labels.items()
        }
    raise MmsearchError(f"expected one of the views {', '.join(VIEWS)}, got {view!r}; choose one of them")


def binary_view(judgments: Judgments) -> str:
    """Return the default view of binary measures: bought, else exact, else graded."""
    return "purchases" if judgments.purchases else "exact" if judgments.labels else "grade"


def graded_view(judgments: Judgments) -> str:
    """Return the default view of graded measures: labels, else grades, else purchases."""
    return "esci" if judgments.labels else "grade" if judgments.grades else "purchases"
