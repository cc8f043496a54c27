"""The hits of one search in the Python API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, overload

from mmsearch.search.hits import Hit


@dataclass(frozen=True, eq=False)
class Hits(Sequence[Hit]):
    """The hits of one search, best first: a sequence of Hit.

    answer   the complete response of OpenSearch
    """

    answer: Mapping[str, Any] = field(repr=False)

    @cached_property
    def _hits(self) -> tuple[Hit, ...]:
        return tuple(map(Hit.of, self.answer["hits"]["hits"]))

    @property
    def took(self) -> int:
        """Return the time that the search took inside OpenSearch, in milliseconds."""
        return int(self.answer.get("took", 0))

    @property
    def timed_out(self) -> bool:
        """Return whether OpenSearch stopped at its time limit."""
        return bool(self.answer.get("timed_out"))

    @property
    def failed_shards(self) -> int:
        """Return the number of shards that failed; their products are missing from the hits."""
        return int(self.answer.get("_shards", {}).get("failed", 0))

    @property
    def degraded(self) -> tuple[Mapping[str, Any], ...]:
        """Return the legs that were left out, each with `leg` and `reason`; empty if all legs responded."""
        return tuple(self.answer.get("ext", {}).get("mmsearch", {}).get("degraded", ()))

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        return self._hits[index]

    def __len__(self) -> int:
        return len(self._hits)

    def __repr__(self) -> str:
        return f"Hits({list(self._hits)!r})"
