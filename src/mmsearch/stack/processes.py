"""Processes by number *and* start time, so that a number which the kernel gave to somebody else is never
signalled."""

from __future__ import annotations

import functools
import os
import select
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process for ever: its pid, its start in clock ticks since boot, and the boot."""

    pid: int
    started: int
    boot: str

    def alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        return identify(self.pid) == self

    def send(self, number: signal.Signals) -> bool:
        """Signal this very process; False when it is gone."""
        try:
            # The descriptor pins the process before its start time is looked at: no other can slip in
            # between.
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.alive():
                return False
            signal.pidfd_send_signal(descriptor, number)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)

    def end(self, grace: float) -> bool:
        """Ask it to stop, wait `grace` seconds, then kill it. True when it ran; returns when it is gone."""
        if not self.send(signal.SIGTERM):
            return False
        if not self.wait(grace):
            self.send(signal.SIGKILL)
            self.wait(10)
        return True

    def wait(self, seconds: float) -> bool:
        """Wait until it is gone, at most `seconds`; whether it is."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            deadline = time.monotonic() + seconds
            # A pidfd is readable once its process has ended, zombie included.
            while self.alive() and (left := deadline - time.monotonic()) > 0:
                select.select([descriptor], [], [], left)
            return not self.alive()
        finally:
            os.close(descriptor)


def identify(pid: int) -> Process | None:
    """The process that has this pid now, or None when there is none (or only its zombie)."""
    try:
        # The name in parentheses may itself hold spaces and parentheses: split after the last one.
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if after_name[0] in "ZX":
        return None
    return Process(pid, int(after_name[19]), boot_id())


def myself() -> Process:
    """The running process."""
    found = identify(os.getpid())
    if found is None:  # /proc is missing or hides us
        raise RuntimeError("expected /proc to show the running process; repair: mount /proc")
    return found


def marked(variable: str, value: str) -> list[Process]:
    """The living processes that were started with this variable in their environment, and so inherited it.

    It finds what a killed server left behind, whoever its parent is by now. Processes of other users, whose
    environment is closed to us, cannot be ours.
    """
    import psutil  # of the extra `local`, without which nothing of ours was started

    return [
        process
        for each in psutil.process_iter(["environ"])
        if (each.info["environ"] or {}).get(variable) == value
        and (process := identify(each.pid))
        and each.is_running()  # still, so that the number has not changed hands
    ]


def dead_helpers(parent: int) -> set[int]:
    """The pids of children that ended and that their parent has not noticed: its zombies."""
    import psutil

    return {
        each.pid
        for each in psutil.process_iter(["ppid", "status"])
        if (each.info["ppid"], each.info["status"]) == (parent, psutil.STATUS_ZOMBIE)
    }


@functools.cache
def boot_id() -> str:
    """The kernel's name for this boot: start times are counted from it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
