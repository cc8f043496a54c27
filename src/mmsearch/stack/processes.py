"""Processes identified by pid *and* start time, so that a reused pid is never signalled."""

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
    """A unique process identity: its pid, its start in clock ticks since boot, and the boot id."""

    pid: int
    started: int
    boot: str

    def alive(self) -> bool:
        """Return whether this process still runs; a zombie does not."""
        return identify(self.pid) == self

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to this process. Return False if it is gone."""
        try:
            # The pidfd is opened before the start time is checked, so that the pid cannot be reused in
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
        """Send SIGTERM, wait `grace` seconds, then send SIGKILL. Return after the process is gone, True if it
        was running.
        """
        if not self.send(signal.SIGTERM):
            return False
        if not self.wait(grace):
            self.send(signal.SIGKILL)
            self.wait(10)
        return True

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds` until the process is gone. Return whether it is."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            deadline = time.monotonic() + seconds
            # A pidfd becomes readable when its process has ended, even as a zombie.
            while self.alive() and (left := deadline - time.monotonic()) > 0:
                select.select([descriptor], [], [], left)
            return not self.alive()
        finally:
            os.close(descriptor)


def identify(pid: int) -> Process | None:
    """Return the process that has this pid now, or None if there is none or only a zombie."""
    try:
        # The name in parentheses may contain spaces and parentheses, so split after the last one.
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if after_name[0] in "ZX":
        return None
    return Process(pid, int(after_name[19]), boot_id())


def myself() -> Process:
    """Return the current process."""
    found = identify(os.getpid())
    if found is None:  # /proc is missing or hides us
        raise RuntimeError("expected /proc to show the running process; repair: mount /proc")
    return found


def marked(variable: str, value: str) -> list[Process]:
    """Return the living processes whose environment has this variable, which children inherit.

    This finds orphans of a killed server. Processes of other users have unreadable environments and cannot be
    ours.
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
    """Return the pids of the parent's zombies: children that ended and were not reaped."""
    import psutil

    return {
        each.pid
        for each in psutil.process_iter(["ppid", "status"])
        if (each.info["ppid"], each.info["status"]) == (parent, psutil.STATUS_ZOMBIE)
    }


@functools.cache
def boot_id() -> str:
    """Return the kernel's boot id. Start times are relative to the boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
