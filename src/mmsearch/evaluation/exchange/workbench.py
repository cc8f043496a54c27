"""Judgment lists of OpenSearch's Search Relevance Workbench: import and export format of its judgments API.

The API accepts `PUT _plugins/_search_relevance/judgments` with a name, the type IMPORT_JUDGMENT and ratings
by query, as text with three decimals. It returns the same inside a document of its index, alone or in a
search response.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.exchange.trec import LABEL_GRADES
from mmsearch.evaluation.judgments import Judgments, Query
from mmsearch.products.ids import identifier_or_empty

_GRADE_LABELS = {float(grade): label for label, grade in LABEL_GRADES.items()}


@dataclass(frozen=True)
class Exported:
    """A judgment list for the API. `left_out` has the queries without text, which the format does not
    support.
    """

    body: dict[str, Any]
    left_out: list[str] = field(default_factory=list)


def export(judgments: Judgments, name: str, description: str = "") -> Exported:
    """Return the request body: labels as ratings 3 (E) to 0 (I), or grades, or purchase counts."""
    lists = []
    left_out = []
    for identifier, query in judgments.queries.items():
        if not query.text:
            left_out.append(identifier)
            continue
        ratings: dict[str, float] = {
            **judgments.purchases.get(identifier, {}),
            **judgments.grades.get(identifier, {}),
            **{
                product: LABEL_GRADES[label]
                for product, label in judgments.labels.get(identifier, {}).items()
            },
        }
        lists.append(
            {
                "query": query.text,
                "ratings": [
                    {"docId": product, "rating": f"{rating:.3f}"} for product, rating in ratings.items()
                ],
            }
        )
    body = {"name": name, "description": description, "type": "IMPORT_JUDGMENT", "judgmentRatings": lists}
    return Exported(body, left_out)


def read(document: Any, *, esci: bool = False) -> Judgments:
    """Read judgments from a request body, a stored document or a search response. Ratings become grades.

    With `esci`, ratings 3 to 0 become the labels E, S, C, I.
    """
    judgments = Judgments()
    for ratings in _lists(document):
        text = ratings.get("query")
        if not isinstance(text, str) or not text:
            raise MmsearchError(f"expected text as the query of a judgment list, got {text!r}; fix the file")
        for rating in ratings.get("ratings", ()):
            value = _number(rating.get("rating"), text)
            product = identifier_or_empty(rating.get("docId"))
            if not product:
                raise MmsearchError(
                    f"expected a docId for every rating of query {text!r}, got {rating.get('docId')!r}; "
                    "fix the file"
                )
            if esci and value not in _GRADE_LABELS:
                raise MmsearchError(
                    f"expected ratings 0, 1, 2 or 3 to read as ESCI labels, got {value} for query {text!r}; "
                    f"read as grades"
                )
            judgments.add(
                Query(text, text),
                product,
                label=_GRADE_LABELS[value] if esci else None,
                grade=None if esci else value,
            )
    if not judgments.queries:
        raise MmsearchError("expected a list `judgmentRatings`, got none; export it by the judgments API")
    return judgments


def _lists(document: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(document, Mapping):
        raise MmsearchError(
            f"expected a JSON object with judgments, got {type(document).__name__}; export it again"
        )
    for hit in document.get("hits", {}).get("hits", ()):
        yield from _lists(hit.get("_source", {}))
    yield from document.get("judgmentRatings", ())


def _number(rating: object, query: str) -> float:
    try:
        value = float(str(rating))
    except ValueError:
        raise MmsearchError(
            f"expected a number as a rating of query {query!r}, got {rating!r}; fix the file"
        ) from None
    return int(value) if value == int(value) else value
