"""Idle cores are measured over time and given out once; decoders are started by them."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from mmsearch.errors import PictureError
from mmsearch.images.idle_cores import INTERVAL, IdleCores, idle_time, usable_cores
from mmsearch.images.preprocess import Prepared, Result, Task
from mmsearch.images.process_pool import PART, DecoderPool, Process
from mmsearch.serving.pictures.pixels import Frame


class Machine:
    """A clock and the idle time of all cores, set by hand."""

    def __init__(self) -> None:
        self.now = self.idle = 0.0

    def cores(self) -> IdleCores:
        return IdleCores(lambda: self.idle, lambda: self.now)


def taken(cores: IdleCores) -> int:
    count = 0
    while cores.take():
        count += 1
    return count


def test_each_idle_core_is_given_out_once_a_measurement() -> None:
    machine = Machine()
    cores = machine.cores()
    assert taken(cores) == 0
    machine.now, machine.idle = INTERVAL / 2, 1.0
    assert taken(cores) == 0  # too short to tell
    machine.now, machine.idle = INTERVAL, 2.5 * INTERVAL
    assert taken(cores) == 3  # two, and half of one
    assert taken(cores) == 0
    machine.now, machine.idle = 3 * INTERVAL, 2.5 * INTERVAL + 0.4 * INTERVAL
    assert taken(cores) == 0  # a fifth of a core
    machine.now, machine.idle = 4 * INTERVAL, 2.9 * INTERVAL + 0.3 * INTERVAL
    assert taken(cores) == 1


def test_idle_time_of_this_machine_passes_and_is_none_where_it_cannot_be_read(tmp_path: Path) -> None:
    assert idle_time() > 0
    assert idle_time(tmp_path / "nothing") == 0
    (tmp_path / "stat").write_text("cpu  9 9\ncpu0 nonsense\n", encoding="ascii")
    assert idle_time(tmp_path / "stat") == 0


def test_idle_time_is_that_of_the_cores_that_may_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 2})
    monkeypatch.setattr("os.sysconf", lambda name: 100)
    lines = (
        "cpu  1 1 1 900 9 0 0",
        "cpu0 1 1 1 300 20 0 0",
        "cpu1 1 1 1 500 5 0 0",
        "cpu2 1 1 1 100 0 0 0",
        "intr 5",
    )
    (tmp_path / "stat").write_text("\n".join(lines), encoding="ascii")
    assert idle_time(tmp_path / "stat") == 4.2


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "5000 100000"}, 1),
        ({"cpu.max": "9900000 100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ({"cpu.max": "damaged"}, 8),
    ],
)
def test_a_containers_quota_limits_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)))
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n", encoding="ascii")
    assert usable_cores(tmp_path) == expected


@pytest.mark.parametrize(("idle", "started"), [(True, 3), (False, 1)])
def test_decoders_are_added_while_images_wait_and_cores_are_idle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, idle: bool, started: int
) -> None:
    out = io.BytesIO()
    Image.effect_noise((300, 300), 80).save(out, "PNG")
    (tmp_path / "a.png").write_bytes(out.getvalue())
    monkeypatch.setattr("mmsearch.images.process_pool.usable_cores", lambda: 3)

    class Cores(IdleCores):
        def take(self) -> bool:
            return idle

    decoders = DecoderPool(tmp_path, Frame(16), cores=Cores(time.monotonic))
    try:
        assert (decoders.most, decoders.started) == (3, 0)
        results = decoders.result(decoders.submit([Task(("a.png",), "")] * 200))
        assert len(results) == 200
        assert all(isinstance(result, Prepared) for result in results)
        assert decoders.started == started
    finally:
        decoders.close()


def test_parts_are_decoded_about_in_order_while_threads_wait_for_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Recorded(Process):
        def ask(self, tasks: Sequence[Task]) -> list[Result]:
            asked.append(int(str(tasks[0].references[0]).removesuffix(".png")))
            return super().ask(tasks)

    class Busy(IdleCores):
        def take(self) -> bool:
            return False

    monkeypatch.setattr("mmsearch.images.process_pool.Process", Recorded)
    monkeypatch.setattr("mmsearch.images.process_pool.usable_cores", lambda: 4)
    decoders = DecoderPool(tmp_path, Frame(16), cores=Busy(time.monotonic))
    decoders._first = 1
    try:
        decoders.result(decoders.submit([Task((f"{number}.png",), "") for number in range(40 * PART)]))
    finally:
        decoders.close()
    assert sorted(asked) == list(range(0, 40 * PART, PART))
    # Each of the four threads holds one part while it waits.
    late = [place - number // PART for place, number in enumerate(asked)]
    assert max(late) < 2 * decoders.most


def test_a_process_is_started_before_the_first_image(tmp_path: Path) -> None:
    decoders = DecoderPool(tmp_path, Frame(16), 2)
    try:
        decoders.warm_up()
        decoders.warm_up()
        assert decoders.started == 1
        (result,) = decoders.result(decoders.submit([Task(("none.png",), "")]))
        assert isinstance(result, PictureError)
    finally:
        decoders.close()
        decoders.close()


@pytest.mark.parametrize(("frame", "processes"), [(None, 2), (Frame(16), 0)])
def test_nothing_is_started_where_no_process_decodes(
    tmp_path: Path, frame: Frame | None, processes: int
) -> None:
    decoders = DecoderPool(tmp_path, frame, processes)
    decoders.warm_up()
    assert decoders.started == 0
    decoders.close()


@pytest.mark.parametrize("after", [0.0, 0.02, 0.1, 0.3])
def test_a_pool_may_be_closed_while_a_process_starts(tmp_path: Path, after: float) -> None:
    for _ in range(5):
        decoders = DecoderPool(tmp_path, Frame(16), 2)
        decoders.warm_up()
        time.sleep(after)
        decoders.close()
        assert decoders.started == 1
