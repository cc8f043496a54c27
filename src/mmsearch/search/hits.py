"""Hits of a search, with the legs that found each hit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict


class Leg(TypedDict):
    """The position of a hit in one leg of a hybrid query. `rank` starts at 1, `score` is the score of the
    leg, and `normalized` the score after normalization. `only` is true if no other leg found the product, and
    absent otherwise. With theoretical_min_max, `bound` is the greatest score that the query could reach and
    `floor` what a random product scores, absent if 0; or `normalization` names what is used without a bound.
    """

    name: str
    rank: int
    score: float
    normalized: float
    only: NotRequired[bool]
    bound: NotRequired[float]
    floor: NotRequired[float]
    normalization: NotRequired[str]


@dataclass(frozen=True)
class Hit:
    """One product found: its `id`, its `score`, its returned fields as `source`, and for a hybrid query the
    `legs` that found it.
    """

    id: str
    score: float
    source: Mapping[str, Any]
    legs: Sequence[Leg] = ()

    @classmethod
    def of(cls, hit: Mapping[str, Any]) -> Hit:
        """Return the Hit for a hit of a `_search` response."""
        legs = tuple(hit.get("fields", {}).get("_legs", ()))
        return cls(hit["_id"], float(hit.get("_score") or 0.0), hit.get("_source", {}), legs)
