"""A tower's memory: what was read before is not computed again, and nothing is taken for another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mmsearch.serving.embedding_cache import OVERHEAD, EmbeddingCache

Feeds = dict[str, np.ndarray]


class CountingTower:
    """Counts the rows that it computes."""

    def __init__(self) -> None:
        self.rows = 0

    def __call__(self, feeds: Mapping[str, Any]) -> np.ndarray:
        ids, mask = feeds.values()
        self.rows += len(ids)
        return np.stack([(ids * mask).sum(1), mask.sum(1)], axis=1).astype(np.float32)


def texts(*rows: tuple[int, ...], width: int) -> Feeds:
    ids, mask = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width), np.int64)
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = row, 1
    return {"INPUT_IDS": ids, "ATTENTION_MASK": mask}


def test_rows_come_back_in_order_and_only_new_ones_are_computed() -> None:
    tower, memory = CountingTower(), EmbeddingCache(1 << 20)
    first = texts((1, 2), (3,), (1, 2), width=2)
    answer, computed = memory.run(first, tower)
    np.testing.assert_array_equal(answer, [[3, 2], [3, 1], [3, 2]])
    assert (computed, tower.rows) == (2, 2)
    answer, computed = memory.run(texts((4,), (3,), (1, 2), width=5), tower)
    np.testing.assert_array_equal(answer, [[4, 1], [3, 1], [3, 2]])
    assert (computed, tower.rows) == (1, 3)


def test_zeros_that_count_are_not_taken_for_filling() -> None:
    tower, memory = CountingTower(), EmbeddingCache(1 << 20)
    memory.run(texts((256,), width=3), tower)
    for row in ((256, 0), (1,), (0, 256), (256, 256)):
        _, computed = memory.run(texts(row, width=3), tower)
        assert computed == 1, row


def test_the_least_recently_used_goes_first() -> None:
    tower, memory = CountingTower(), EmbeddingCache(2 * (8 + OVERHEAD))
    for row in ((1,), (2,), (1,), (3,)):
        memory.run(texts(row, width=1), tower)
    assert (len(memory), tower.rows) == (2, 3)
    assert memory.run(texts((1,), width=1), tower)[1] == 0
    assert memory.run(texts((2,), width=1), tower)[1] == 1


def test_a_batch_larger_than_the_memory_is_answered_all_the_same() -> None:
    tower, memory = CountingTower(), EmbeddingCache(1)
    answer, _ = memory.run(texts((1,), (2,), (1,), width=1), tower)
    np.testing.assert_array_equal(answer[:, 0], [1, 2, 1])
    assert len(memory) == 0
