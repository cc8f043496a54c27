"""The set of ids that a catalog has already provided, at eight bytes per id."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RECENT = 1 << 12  # a set takes about a hundred bytes for each, an array eight
Hashes = NDArray[np.uint64]


def hashes(ids: Sequence[str]) -> Hashes:
    """Return 64-bit hashes of the ids, shape (len(ids),). Among 100 million ids the chance of a collision is
    0.03 %.
    """
    raw = b"".join(hashlib.blake2b(identifier.encode(), digest_size=8).digest() for identifier in ids)
    return np.frombuffer(raw, "<u8")


def slice_of(key: bytes, count: int) -> int:
    """Return the slice, 1 to count, of an id or of a line without an id. The result is the same in every
    process.
    """
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") % count + 1


class IdSet:
    """A growing set of ids: recent ids in a Python set, older ones in sorted arrays that are merged as they
    grow.
    """

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._sorted: list[Hashes] = []

    def __len__(self) -> int:
        return len(self._recent) + sum(map(len, self._sorted))

    def add(self, ids: Sequence[str]) -> list[bool]:
        """Add ids in order. Return for each whether it is new."""
        found = hashes(ids)
        old = self._among_sorted(found)
        new = []
        for there, value in zip(old.tolist(), found.tolist(), strict=True):
            fresh = not there and value not in self._recent
            if fresh:
                self._recent.add(value)
            new.append(fresh)
        if len(self._recent) >= RECENT:
            self._settle()
        return new

    def has(self, ids: Sequence[str]) -> list[bool]:
        """Return for each id whether it was added."""
        found = hashes(ids)
        old = self._among_sorted(found)
        return [
            there or value in self._recent for there, value in zip(old.tolist(), found.tolist(), strict=True)
        ]

    def _among_sorted(self, found: Hashes) -> NDArray[np.bool_]:
        known = np.zeros(len(found), bool)
        for array in self._sorted:
            at = np.minimum(np.searchsorted(array, found), len(array) - 1)
            known |= array[at] == found
        return known

    def _settle(self) -> None:
        new = np.fromiter(self._recent, np.uint64, len(self._recent))
        new.sort()
        self._recent.clear()
        # Arrays of equal size are merged, as in a binary counter, so that their number is logarithmic.
        while self._sorted and len(self._sorted[-1]) <= len(new):
            new = np.concatenate((self._sorted.pop(), new))
            new.sort(kind="stable")
        self._sorted.append(new)
