"""Slices of the queries: by length, by modality, and by the attributes in the judgments."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.judgments import Judgments, Query
from mmsearch.evaluation.measures import Scores

BUILT_IN = ("length", "modality")
_LENGTHS = {0: "no words", 1: "1 word", 2: "2 words", 3: "3 words"}


def slice_of(query: Query, by: str) -> str:
    """Return the slice of `query`; `(none)` if the judgments lack the attribute."""
    if by == "modality":
        return query.modality
    if by == "length":
        words = len((query.text or "").split())
        return _LENGTHS.get(words, "4 words or more")
    return query.attributes.get(by, "(none)")


def slices(judgments: Judgments, by: str) -> dict[str, list[str]]:
    """The query identifiers of each slice, slices in alphabetical order."""
    known = {*BUILT_IN, *(key for query in judgments.queries.values() for key in query.attributes)}
    if by not in known:
        raise MmsearchError(
            f"expected a slice by one of {', '.join(sorted(known))}, got {by!r}; name one of them"
        )
    members: dict[str, list[str]] = {}
    for identifier, query in judgments.queries.items():
        members.setdefault(slice_of(query, by), []).append(identifier)
    return dict(sorted(members.items()))


def sliced(scores: Scores, queries: Iterable[str]) -> Scores:
    """Return the scores restricted to the given queries."""
    wanted = set(queries)
    rows = np.array([row for row, query in enumerate(scores.queries) if query in wanted], np.int64)
    return Scores(
        scores.measure, [scores.queries[row] for row in rows], scores.values[rows], scores.counted[rows]
    )
