"""The curves of a training for TensorBoard: those of the log, each step once, also after an interruption."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmsearch.models.trained_files import CHECKPOINT, LOG
from mmsearch.training.loop import train
from mmsearch.training.progress import tensorboard

from ..fakes.small_training import CPU, NUMBERS, drawn, fresh, small

NAME = "bibert_mlp"


def shown(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a folder: the steps and values of each curve."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / tensorboard.FOLDER))
    events.Reload()
    return {
        name: [(each.step, each.value) for each in events.Scalars(name)] for name in events.scalars.Keys()
    }


def logged(folder: Path) -> dict[str, list[tuple[int, float]]]:
    lines = {line["step"]: line for line in map(json.loads, (folder / LOG).read_text().splitlines())}
    names = ("loss", "recall", "temperature")
    return {name: [(step, pytest.approx(lines[step][name])) for step in sorted(lines)] for name in names}


def test_an_interrupted_training_shows_each_step_once(tmp_path: Path) -> None:
    early: list[bytes] = []

    def say(line: dict[str, float]) -> None:
        if line["step"] == 2 * NUMBERS.evaluate_every:
            early.append((tmp_path / CHECKPOINT).read_bytes())

    train(fresh(NAME), drawn(small(NAME)), NUMBERS, device=CPU, folder=tmp_path, say=say)
    first = shown(tmp_path)
    assert first == logged(tmp_path)
    assert len(first["loss"]) > 2

    (tmp_path / CHECKPOINT).write_bytes(early[0])
    train(fresh(NAME), drawn(small(NAME)), NUMBERS, device=CPU, folder=tmp_path)
    assert len((tmp_path / LOG).read_text().splitlines()) > len(first["loss"])
    assert shown(tmp_path) == logged(tmp_path)


def test_without_the_package_a_training_leaves_no_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard.importlib.util, "find_spec", lambda name: None)
    train(fresh(NAME), drawn(small(NAME)), NUMBERS, device=CPU, folder=tmp_path)
    assert (tmp_path / LOG).exists()
    assert not (tmp_path / tensorboard.FOLDER).exists()
