"""Products that a split must not part: near-duplicates, sibling titles, templated series."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmsearch.training.words import stems, words

HASH_SIDE = 16
# Of 240 bits: pictures drawn apart differ in about 90, recoloured or slightly moved copies in a handful; a
# wider net would chain whole families of flags and icons, which resemble each other, into one group.
NEAR = 6
SERIES = 4


def difference_hash(picture: Image.Image) -> NDArray[np.bool_]:
    """Where each pixel of a 16 x 15 grey miniature is darker than its right neighbour: bool [240]."""
    small = picture.convert("L").resize((HASH_SIDE, HASH_SIDE), Image.Resampling.BOX)
    grey = np.asarray(small, np.int16)
    return (grey[:, 1:] > grey[:, :-1]).ravel()


def groups(titles: Sequence[str], folders: Sequence[str], hashes: NDArray[np.bool_]) -> NDArray[np.int64]:
    """A group number for each of n products, int64 [n].

    Two products share a group when their pictures' hashes (bool [n, bits]) are near, when their titles
    have the same stems, or when their folder has a series of at least four titles that differ in one word.
    """
    parent = list(range(len(titles)))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for clique in (*_near(hashes), *_siblings(titles), *_series(titles, folders)):
        first, *others = clique
        for other in others:
            parent[root(other)] = root(first)
    return np.array([root(node) for node in range(len(titles))], np.int64)


def near_any(hashes: NDArray[np.bool_], others: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each of n pictures' hashes (bool [n, bits]) is near any of m others': bool [n]."""
    near: NDArray[np.bool_] = _alike(_signs(hashes), _signs(others)).any(axis=1)
    return near


def _signs(hashes: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.where(hashes, np.float32(1), np.float32(-1))


def _alike(signs: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of n hashes' signs (float32 [n, bits]) are near which of m others': bool [n, m]."""
    near: NDArray[np.bool_] = (signs.shape[1] - signs @ others.T) / 2 <= NEAR
    return near


def _near(hashes: NDArray[np.bool_]) -> Iterable[list[int]]:
    signs = _signs(hashes)
    for number in range(len(signs)):
        near = _alike(signs[number + 1 :], signs[number : number + 1])[:, 0]
        yield [number, *(np.flatnonzero(near) + number + 1).tolist()]


def _siblings(titles: Sequence[str]) -> Iterable[list[int]]:
    same: dict[frozenset[str], list[int]] = defaultdict(list)
    for number, title in enumerate(titles):
        same[stems(title)].append(number)
    return same.values()


def _series(titles: Sequence[str], folders: Sequence[str]) -> Iterable[list[int]]:
    templates: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, title in enumerate(titles):
        parts = words(title)
        if len(parts) < 2:
            continue
        for gap in range(len(parts)):
            templates[(folders[number], *parts[:gap], "*", *parts[gap + 1 :])].append(number)
    return (members for members in templates.values() if len(members) >= SERIES)
