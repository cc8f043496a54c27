from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time

from mmsearch.stack.processes import Process, dead_helpers, identify, marked, myself


def sleeper(**variables: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"], env={**os.environ, **variables})


def test_an_ended_process_is_dead_even_as_a_zombie() -> None:
    child = sleeper()
    process = identify(child.pid)
    assert process is not None
    assert process.alive()
    child.kill()
    # Not waited for: it is a zombie now.
    assert process.wait(5)
    assert identify(child.pid) is None
    assert child.pid in dead_helpers(os.getpid())
    child.wait()


def test_a_number_that_was_given_to_another_process_is_never_signalled() -> None:
    child = sleeper()
    now = identify(child.pid)
    assert now is not None
    before = dataclasses.replace(now, started=now.started - 1)  # who had the number earlier
    other_boot = dataclasses.replace(now, boot="another")
    for stranger in (before, other_boot):
        assert not stranger.alive()
        assert not stranger.send(signal.SIGKILL)
        assert not stranger.end(grace=1)
    assert child.poll() is None
    assert now.end(grace=5)
    assert child.wait() == -signal.SIGTERM


def test_who_does_not_listen_is_killed_after_the_grace() -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print(flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    process = identify(child.pid)
    assert process is not None
    begun = time.monotonic()
    assert process.end(grace=0.5)
    assert 0.5 <= time.monotonic() - begun < 5
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()


def test_a_number_without_a_process_is_none() -> None:
    child = sleeper()
    child.kill()
    child.wait()
    assert identify(child.pid) is None
    assert not Process(child.pid, 1, "x").send(signal.SIGTERM)
    assert Process(child.pid, 1, "x").wait(1)


def test_marked_finds_those_that_inherited_the_mark_and_no_others() -> None:
    ours = subprocess.Popen(["sh", "-c", "sleep 60 & wait"], env={**os.environ, "MARK_OF_TEST": "one"})
    other = sleeper(MARK_OF_TEST="another")
    try:
        deadline = time.monotonic() + 5
        while len(found := marked("MARK_OF_TEST", "one")) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(found) == 2
        assert ours.pid in {process.pid for process in found}
        assert other.pid not in {process.pid for process in found}
    finally:
        for process in marked("MARK_OF_TEST", "one"):
            process.end(grace=1)
        other.kill()
        ours.wait()
        other.wait()


def test_we_are_ourselves() -> None:
    assert myself() == identify(os.getpid())
