"""A training on a processor takes as many threads as make it faster, and keeps them when it is resumed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mmsearch.models.fusion import registry
from mmsearch.training import threads
from mmsearch.training.loop import train
from mmsearch.training.objective import Training
from mmsearch.training.pairs import features
from mmsearch.training.towers.pick import moving_tower

from ..fakes import small_bert
from ..fakes.small_training import CPU
from .test_training_towers import shop


@pytest.fixture(autouse=True)
def four() -> Iterator[None]:
    """As torch has them on four cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("seconds", "taken"),
    [
        ({1: 40, 2: 20, 4: 10}, 4),
        ({1: 40, 2: 20, 4: 80}, 2),
        ({1: 20, 2: 400, 4: 1}, 1),  # other programs use the cores
        ({1: 40, 2: 39, 4: 1}, 1),
    ],
)
def test_threads_are_added_while_they_help(
    seconds: dict[int, int], taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def step() -> None:
        asked.append(torch.get_num_threads())

    monkeypatch.setattr(threads.time, "perf_counter", lambda: sum(seconds[count] for count in asked))

    with threads.kept():
        assert threads.take_fastest(step) == taken
        assert torch.get_num_threads() == taken
    assert torch.get_num_threads() == 4
    assert asked[:2] == [1, 1]  # the first one also allocates


def test_where_one_is_allowed_nothing_is_tried() -> None:
    torch.set_num_threads(1)
    assert threads.take_fastest(lambda: pytest.fail("tried")) == 1


@pytest.mark.parametrize("given", [0, 3])
def test_a_resumed_training_takes_the_threads_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: int
) -> None:
    measured: list[int] = []

    def take(step: object) -> int:
        measured.append(2)
        torch.set_num_threads(2)
        return 2

    monkeypatch.setattr(threads, "take_fastest", take)
    encoder = small_bert.encoder(tmp_path / "encoder")
    architecture = small_bert.architecture("bibert", encoder, {"last": 1}, threads=given)
    numbers = Training.of(architecture.data["training"])
    seen: list[int] = []

    def run(stop: int) -> None:
        torch.manual_seed(0)
        towers = {"minilm": moving_tower(architecture.towers["minilm"], numbers.seed)}
        data = features(architecture, *shop(), lambda line: None, moving=towers, cut=numbers.tokens)

        def say(line: dict[str, float]) -> None:
            seen.append(torch.get_num_threads())
            if line["step"] == stop:
                raise KeyboardInterrupt

        train(registry.build(architecture), data, numbers, device=CPU, folder=tmp_path / "run", say=say)

    with pytest.raises(KeyboardInterrupt):
        run(stop=8)
    assert torch.get_num_threads() == 4
    run(stop=0)
    assert seen == [given or 2] * 3
    assert measured == ([] if given else [2])
