"""The hits of a search, with the legs that found each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict


class Leg(TypedDict):
    """Where one leg of a hybrid had the hit: `rank` counts from 1, `score` is the leg's own and `normalized`
    what the fusion made of it; `only` is there and true where no other leg found the product."""

    name: str
    rank: int
    score: float
    normalized: float
    only: NotRequired[bool]


@dataclass(frozen=True)
class Hit:
    """One product found: its `id` and `score`, the fields that the answer shows of it as `source`, and for a
    hybrid the `legs` that found it."""

    id: str
    score: float
    source: Mapping[str, Any]
    legs: Sequence[Leg] = ()

    @classmethod
    def of(cls, hit: Mapping[str, Any]) -> Hit:
        """A hit as `_search` answers it."""
        legs = tuple(hit.get("fields", {}).get("_legs", ()))
        return cls(hit["_id"], float(hit.get("_score") or 0.0), hit.get("_source", {}), legs)
