"""Trainings in several processes: the numbers of one, in the order of the jobs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from fusion_study.parallel import side_by_side

from mmsearch.training.loop import train

from ..fakes.small_training import CPU, NUMBERS, drawn, fresh, small


def trained(job: tuple[str, int]) -> tuple[int, int, torch.Tensor]:
    """A process, its threads, and what its fusion says of the drawn products."""
    name, seed = job
    data = drawn(small(name), seed)
    result = train(fresh(name, seed), data, NUMBERS, device=CPU)
    with torch.inference_mode():
        fused = result.fusion.item(data.item_text, data.item_image)[0]
    return os.getpid(), torch.get_num_threads(), fused.clone()


def refused(job: int) -> int:
    if job == 2:
        raise ValueError("expected anything but 2, got 2; choose another")
    return job


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other processes import this file by its name, from the path that they inherit."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


JOBS = [("4tmm_gated", 0), ("bibert_mlp", 1), ("3tmm_mlp", 0), ("4tmm_gated", 1)]


def test_two_processes_train_as_one() -> None:
    alone, together = side_by_side(trained, JOBS, 1), side_by_side(trained, JOBS, 2)
    assert {process for process, _, _ in alone} == {os.getpid()}
    assert os.getpid() not in {process for process, _, _ in together}
    assert {threads for _, threads, _ in (*alone, *together)} == {1}
    for (_, _, one), (_, _, other) in zip(alone, together, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert not torch.equal(alone[0][2], alone[3][2])


def test_this_process_gets_its_threads_back() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        side_by_side(trained, JOBS[:1])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("processes", [1, 2])
def test_what_a_job_raises_is_raised(processes: int) -> None:
    with pytest.raises(ValueError, match="anything but 2"):
        side_by_side(refused, [1, 2, 3], processes)
