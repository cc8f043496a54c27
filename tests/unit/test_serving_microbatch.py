"""Batches in slices: every row once, in its order, and every core with as many slices as the others."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from mmsearch.serving.microbatch import Microbatches
from mmsearch.serving.runtime import Choice


class Inputless:
    def get_inputs(self) -> list[Any]:
        return []


class Session(Inputless):
    """Gives each row's sum and its double; keeps how many rows each call had."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.lock = threading.Lock()

    def run(self, wanted: list[str], feeds: Mapping[str, Any]) -> list[Any]:
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
    answers = Microbatches(session, Choice(least=2, most=4), cores).run(["SUM", "DOUBLE"], feeds)
    expected = (feeds["A"] + 1).sum(1, keepdims=True)
    np.testing.assert_array_equal(answers[0], expected)
    np.testing.assert_array_equal(answers[1], 2 * expected)
    assert sorted(session.seen) == slices


@pytest.mark.parametrize("cores", [1, 2, 3])
@pytest.mark.parametrize("count", range(1, 12))
@pytest.mark.parametrize(("least", "most"), [(1, 1), (1, 2), (2, 2), (1, 4), (3, 5)])
def test_no_slice_is_empty_or_too_large(cores: int, count: int, least: int, most: int) -> None:
    session = Session()
    feeds = {"A": np.ones((count, 3)), "B": np.ones((count, 3))}
    Microbatches(session, Choice(least=least, most=most), cores).run(["SUM"], feeds)
    assert sum(session.seen) == count
    assert min(session.seen) >= 1
    assert max(session.seen) <= max(most, least)


def test_slices_are_computed_at_the_same_time() -> None:
    together = threading.Barrier(2, timeout=10)

    class Meeting(Session):
        def run(self, wanted: list[str], feeds: Mapping[str, Any]) -> list[Any]:
            together.wait()
            return super().run(wanted, feeds)

    feeds = {"A": np.ones((4, 1)), "B": np.ones((4, 1))}
    (answer,) = Microbatches(Meeting(), Choice(least=1, most=2), 2).run(["SUM"], feeds)
    assert answer.tolist() == [[2.0]] * 4


def test_what_one_slice_raises_is_raised() -> None:
    feeds = {"A": np.array([[1.0], [1.0], [-1.0]]), "B": np.ones((3, 1))}
    with pytest.raises(ValueError, match="negative"):
        Microbatches(Session(), Choice(least=1, most=1), 2).run(["SUM"], feeds)


class Texts(Inputless):
    """Gives each text the sum of its tokens; keeps the shape of each call, and demands texts of its width."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(self, wanted: list[str], feeds: Mapping[str, Any]) -> list[Any]:
        ids, mask = feeds["INPUT_IDS"], feeds["ATTENTION_MASK"]
        self.shapes.append(ids.shape)
        return [(ids * mask).sum(1, keepdims=True).astype(np.float32)]


def padded(lengths: list[int]) -> dict[str, Any]:
    """Texts whose tokens are their own number, from 1."""
    mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
    return {
        "INPUT_IDS": mask * np.arange(1, len(lengths) + 1)[:, None],
        "ATTENTION_MASK": mask.astype(np.int64),
    }


def test_texts_run_beside_texts_of_their_length_and_come_back_in_their_order() -> None:
    session, lengths = Texts(), [3, 90, 5, 80, 2, 70]
    (answer,) = Microbatches(session, Choice(least=1, most=2, ragged=True), 1).run(["SUM"], padded(lengths))
    assert answer.ravel().tolist() == [3.0, 180.0, 15.0, 320.0, 10.0, 420.0]  # number times length
    assert session.shapes == [(2, 90), (2, 70), (2, 3)]


def test_a_tower_of_a_fixed_length_gets_whole_rows_in_their_order() -> None:
    session = Texts()
    (answer,) = Microbatches(session, Choice(least=1, most=2), 1).run(["SUM"], padded([3, 9, 5]))
    assert answer.ravel().tolist() == [3.0, 18.0, 15.0]
    assert session.shapes == [(1, 9), (2, 9)]


def test_a_text_that_is_padded_on_the_left_or_empty_is_not_cut() -> None:
    session = Texts()
    feeds = {
        "INPUT_IDS": np.array([[0, 0, 4], [7, 0, 0], [0, 0, 0]]),
        "ATTENTION_MASK": np.array([[0, 0, 1], [1, 0, 0], [0, 0, 0]]),
    }
    (answer,) = Microbatches(session, Choice(least=1, most=1, ragged=True), 1).run(["SUM"], feeds)
    assert answer.ravel().tolist() == [4.0, 7.0, 0.0]
    assert sorted(session.shapes) == [(1, 1), (1, 1), (1, 3)]
