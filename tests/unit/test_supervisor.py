"""The supervisor over small children: what a server is does not matter to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mmsearch.stack import embedded, supervisor
from mmsearch.stack.processes import Process, identify, marked
from mmsearch.stack.state import MARK, Home, Launch, Running


def until(true: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not become so in time"
        time.sleep(0.05)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home.at(tmp_path / "home")
    made.make()
    yield made
    embedded.end(made, "opensearch")


def prepared(home: Home, command: list[str], while_alive: Process | None = None) -> Launch:
    return Launch(
        name="opensearch",
        command=command,
        environment={},
        bare=False,
        folder=str(home.folder),
        log=str(home.log("opensearch")),
        stamp={},
        shared_memory=f"mmsearch_test_{os.getpid()}_",
        while_alive=while_alive,
    )


def start(home: Home, command: list[str], while_alive: Process | None = None) -> Launch:
    launch = prepared(home, command, while_alive)
    home.write_launch(launch)
    embedded.start_supervisor(home, "opensearch")
    return launch


def running(home: Home) -> Running:
    found = home.running("opensearch")
    assert found is not None
    return found


def test_a_killed_server_comes_back_and_the_new_one_is_recorded(home: Home) -> None:
    start(home, ["sleep", "600"])
    first = running(home).child
    assert first is not None
    first.send(signal.SIGKILL)
    until(lambda: running(home).child not in (None, first))
    assert running(home).restarts == 1
    assert running(home).last_exit == "signal 9"
    second = running(home).child
    assert second is not None
    assert second.alive()


def test_end_leaves_no_process_no_record_and_no_shared_memory(home: Home) -> None:
    launch = start(home, ["sh", "-c", "sleep 600 & sleep 601 & wait"])
    until(lambda: len(launch.left_behind()) == 3)
    region = Path("/dev/shm") / f"{launch.shared_memory}region"
    other = Path("/dev/shm") / f"another_{os.getpid()}"
    region.touch()
    other.touch()
    try:
        guardian = running(home).supervisor
        assert embedded.end(home, "opensearch")
        assert not guardian.alive()
        assert launch.left_behind() == []
        assert home.running("opensearch") is None
        assert not region.exists()
        assert other.exists()
        assert not embedded.end(home, "opensearch")
    finally:
        other.unlink()


def test_a_killed_supervisor_takes_the_server_with_it_and_end_finds_the_helpers(home: Home) -> None:
    launch = start(home, ["sh", "-c", "setsid sleep 600 & wait"])
    until(lambda: len(launch.left_behind()) == 2)
    guardian, server = running(home).supervisor, running(home).child
    assert server is not None
    guardian.send(signal.SIGKILL)
    assert server.wait(5)
    assert len(launch.left_behind()) == 1  # the helper has a session of its own and no parent
    assert embedded.end(home, "opensearch")
    assert launch.left_behind() == []


def test_a_server_ends_with_the_process_it_was_started_for(home: Home) -> None:
    owner = subprocess.Popen(["sleep", "600"])
    launch = start(home, ["sleep", "600"], while_alive=identify(owner.pid))
    guardian = running(home).supervisor
    owner.kill()
    owner.wait()
    assert guardian.wait(10)
    assert launch.left_behind() == []


def test_a_dead_helper_that_its_server_does_not_notice_ends_the_watch(
    home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervisor, "PATIENCE", 0.5)
    unaware = "import subprocess, time; helper = subprocess.Popen(['true']); time.sleep(600)"
    launch = prepared(home, [sys.executable, "-c", unaware])
    child = supervisor.start(launch)
    try:
        # Not asked to stop: the supervisor then ends what is left and starts the server again.
        assert supervisor.watch(child, launch) is False
        assert child.poll() is None
    finally:
        supervisor.end_all(child, launch)
    assert "are dead" in "".join(capfd.readouterr())


def test_a_server_gets_our_signal_mask_undone_and_its_output_into_the_log(home: Home) -> None:
    start(home, ["sh", "-c", "grep SigBlk /proc/self/status; exec sleep 600"])
    until(lambda: home.log("opensearch").exists() and "SigBlk" in home.log("opensearch").read_text())
    assert home.log("opensearch").read_text().split() == ["SigBlk:", "0" * 16]


def test_a_command_that_cannot_run_is_an_error_with_the_reason(home: Home) -> None:
    with pytest.raises(
        embedded.StackError, match="expected the supervisor of opensearch to start it"
    ) as caught:
        start(home, [str(home.folder / "nothing")])
    assert "No such file" in str(caught.value)


def test_the_mark_is_in_every_process_of_a_launch_but_not_in_the_supervisor(home: Home) -> None:
    launch = start(home, ["sleep", "600"])
    pids = {process.pid for process in marked(MARK, launch.token)}
    child = running(home).child
    assert child is not None
    assert pids == {child.pid}
