"""What runs a tower: the GPU where there is one, and there each session on batches of one size alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gpu.check import served_on

from mmsearch.serving.sessions import CPU, GPU, GPU_OPTIONS, BySize, chosen, padded, providers, sizes


class Session:
    """Adds up each row and remembers how large its batches were."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="PIXELS", shape=["batch", 2, 2, 3])]

    def run(self, wanted: list[str] | None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.seen.append(len(feeds["PIXELS"]))
        return [feeds["PIXELS"].reshape(len(feeds["PIXELS"]), -1).sum(1, dtype=np.float32)]


def test_the_gpu_is_asked_for_where_onnxruntime_has_it_and_never_tensorrt() -> None:
    assert providers(["TensorrtExecutionProvider", GPU, CPU]) == [(GPU, GPU_OPTIONS), CPU]
    assert providers(["AzureExecutionProvider", CPU]) == [CPU]


def test_a_session_that_fell_back_to_the_cpu_says_so() -> None:
    fell_back: Any = SimpleNamespace(get_providers=lambda: [CPU])
    assert chosen(fell_back) == CPU


@pytest.mark.parametrize(
    ("most", "expected"),
    [(1, [1]), (4, [1, 4]), (8, [1, 8]), (48, [1, 8, 16, 32, 48]), (64, [1, 8, 16, 32, 64])],
)
def test_few_sizes_have_a_session(most: int, expected: list[int]) -> None:
    assert sizes(most) == expected


def test_each_session_sees_one_size_and_the_rows_come_back_as_asked() -> None:
    sessions: list[Session] = []

    def opened() -> Session:
        sessions.append(Session())
        return sessions[-1]

    model = BySize(opened, 16)
    for rows in (3, 1, 16, 8, 9, 2, 1):
        pixels = np.random.default_rng(rows).integers(0, 256, (rows, 2, 2, 3), np.uint8)
        (answer,) = model.run(["FEATURES"], {"PIXELS": pixels})
        np.testing.assert_array_equal(answer, pixels.reshape(rows, -1).sum(1))
    assert [set(session.seen) for session in sessions] == [{1}, {8}, {16}]
    assert [len(session.seen) for session in sessions] == [3, 4, 3]


def test_filling_up_adds_zeros_of_the_same_kind_and_takes_nothing_away() -> None:
    pixels = np.full((2, 1), 7, np.uint8)
    filled = padded({"PIXELS": pixels}, 4)["PIXELS"]
    assert filled.dtype == np.uint8
    assert filled.tolist() == [[7], [7], [0], [0]]
    assert padded({"PIXELS": pixels}, 1)["PIXELS"] is pixels


def test_the_log_tells_which_provider_runs_which_tower_last() -> None:
    log = f'I1127 tower.py:54] "clip_image 1 runs on {GPU}"\nW1127 "fusion_item 12 runs on {CPU}: expected"\n'
    assert served_on(log) == {"clip_image": GPU, "fusion_item": CPU}
    assert served_on(log + f'I1127 "clip_image 2 runs on {CPU}"\n')["clip_image"] == CPU
