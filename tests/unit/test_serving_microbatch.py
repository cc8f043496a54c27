"""Batches in slices: every row once, in its order, and every core with as many slices as the others."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from mmsearch.serving.microbatch import Microbatches


class Session:
    """Gives each row's sum and its double; keeps how many rows each call had."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.lock = threading.Lock()

    def run(self, wanted: list[str], feeds: dict[str, Any]) -> list[Any]:
        with self.lock:
            self.seen.append(len(feeds["A"]))
        if (feeds["A"] < 0).any():
            raise ValueError("expected no negative rows")
        total = (feeds["A"] + feeds["B"]).sum(1, keepdims=True).astype(np.float32)
        return [total, 2 * total][: len(wanted)]


@pytest.mark.parametrize(
    ("cores", "count", "slices"),
    [
        (1, 1, [1]),
        (1, 4, [4]),
        (1, 5, [2, 3]),
        (1, 13, [3, 3, 3, 4]),
        (2, 1, [1]),
        (2, 3, [3]),  # too few for two cores
        (2, 4, [2, 2]),
        (2, 8, [4, 4]),
        (2, 9, [2, 2, 2, 3]),  # three slices would leave one core idle
        (3, 13, [2, 2, 2, 2, 2, 3]),
    ],
)
def test_rows_come_back_as_from_one_piece(cores: int, count: int, slices: list[int]) -> None:
    session = Session()
    feeds = {"A": np.arange(3.0 * count).reshape(count, 3), "B": np.ones((count, 3))}
    answers = Microbatches(session, 2, 4, cores).run(["SUM", "DOUBLE"], feeds)
    expected = (feeds["A"] + 1).sum(1, keepdims=True)
    np.testing.assert_array_equal(answers[0], expected)
    np.testing.assert_array_equal(answers[1], 2 * expected)
    assert sorted(session.seen) == slices


def test_slices_are_computed_at_the_same_time() -> None:
    together = threading.Barrier(2, timeout=10)

    class Meeting(Session):
        def run(self, wanted: list[str], feeds: dict[str, Any]) -> list[Any]:
            together.wait()
            return super().run(wanted, feeds)

    feeds = {"A": np.ones((4, 1)), "B": np.ones((4, 1))}
    (answer,) = Microbatches(Meeting(), 1, 2, 2).run(["SUM"], feeds)
    assert answer.tolist() == [[2.0]] * 4


def test_what_one_slice_raises_is_raised() -> None:
    feeds = {"A": np.array([[1.0], [1.0], [-1.0]]), "B": np.ones((3, 1))}
    with pytest.raises(ValueError, match="negative"):
        Microbatches(Session(), 1, 1, 2).run(["SUM"], feeds)
