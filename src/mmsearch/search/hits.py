"""The hits of a search, with the legs that found each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Hit:
    """One product found: what the answer shows of it, and which legs found it (for a hybrid)."""

    id: str
    score: float
    source: Mapping[str, Any]
    legs: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def of(cls, hit: Mapping[str, Any]) -> Hit:
        """A hit as `_search` answers it."""
        legs = tuple(hit.get("fields", {}).get("_legs", ()))
        return cls(hit["_id"], float(hit.get("_score") or 0.0), hit.get("_source", {}), legs)
