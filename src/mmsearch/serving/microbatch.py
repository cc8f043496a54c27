"""Compute a batch in slices on all cores; each slice runs on few threads, usually one."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .runtime import Choice, Session

Feeds = Mapping[str, NDArray[Any]]
MASK = "ATTENTION_MASK"


class Microbatches:
    """A session, run on slices of a batch by one thread per worker.

    Unlike the threads of one session, cores do not wait for each other within a layer. All cores get equally
    many slices of similar size, so that none is idle. Small image slices fit into a core's cache. Texts are
    sorted by length, and a slice is cut to its longest text: padding costs as much as text.
    """

    def __init__(self, session: Session, choice: Choice, cores: int | None = None) -> None:
        self._session = session
        self._least = max(1, choice.least)
        self._most = choice.most
        self._ragged = choice.ragged
        self._cores = cores or choice.workers
        # Both runtimes release the GIL while they compute.
        self._pool = ThreadPoolExecutor(self._cores, thread_name_prefix="slice") if self._cores > 1 else None

    def run(self, wanted: list[str], feeds: Feeds) -> list[NDArray[np.float32]]:
        """Return the named outputs of n rows, in their order, float32 [n, dimension] each.

        Raises the error of the session for any slice.
        """
        count = len(next(iter(feeds.values())))
        if count == 1:
            return self._session.run(wanted, feeds)
        lengths = _lengths(feeds[MASK]) if self._ragged else None
        # The longest first: what is computed last is short, so that the cores end together.
        order = np.arange(count) if lengths is None else np.argsort(-lengths, kind="stable")
        slices = self._cut(count)

        def one(rows: slice) -> list[NDArray[np.float32]]:
            places = order[rows]
            if lengths is None:
                part = {name: array[rows] for name, array in feeds.items()}
            else:
                part = {name: array[places, : lengths[places].max()] for name, array in feeds.items()}
            return self._session.run(wanted, part)

        if len(slices) == 1:
            answers = [one(slices[0])]
        else:
            answers = list(self._pool.map(one, slices) if self._pool else map(one, slices))
        columns = [np.concatenate(column) for column in zip(*answers, strict=True)]
        if lengths is None:
            return columns
        back = np.argsort(order)
        return [column[back] for column in columns]

    def _cut(self, count: int) -> list[slice]:
        """Return the slices of `count` rows: equally many per core, unless the batch is too small."""
        slices = max(1, min(self._cores, count // self._least))
        if count > slices * self._most:
            # No more slices than rows: some models fail on an empty batch.
            slices = min(count, self._cores * -(-count // (self._cores * self._most)))
        edges = [count * number // slices for number in range(slices + 1)]
        return [slice(*pair) for pair in pairwise(edges)]


def _lengths(mask: NDArray[Any]) -> NDArray[np.int64]:
    """Return for each row the number of columns up to its last token, at least 1."""
    present = mask[:, ::-1] != 0
    lengths = mask.shape[1] - np.argmax(present, axis=1)
    return np.where(present.any(1), lengths, 1).astype(np.int64)
