"""The processor cores that this process may use, and how many of them are idle."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

INTERVAL = 0.5  # seconds over which idle time is measured
WORTH_IT = 0.25  # of a core; less is what other programs leave now and then
_STAT = Path("/proc/stat")
_QUOTAS = Path("/sys/fs/cgroup")


def usable_cores(quotas: Path = _QUOTAS) -> int:
    """Return the cores that this process may run on, at least one: those of its affinity, and not more than
    the quota of its container.
    """
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        count = os.cpu_count() or 1
    return max(1, min(count, math.ceil(_quota(quotas) or count)))


class IdleCores:
    """Idle cores of the machine, given out one at a time to work that could use another one.

    `idle_seconds` returns the idle time of all usable cores since some moment.
    """

    def __init__(
        self,
        idle_seconds: Callable[[], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._idle_seconds = idle_seconds or idle_time
        self._clock = clock
        self._since, self._before = clock(), self._idle_seconds()
        self._free = 0.0

    def take(self) -> bool:
        """Return whether a core is idle that has not been taken since it was measured."""
        now = self._clock()
        if now - self._since >= INTERVAL:
            idle = self._idle_seconds()
            self._free = (idle - self._before) / (now - self._since)
            self._since, self._before = now, idle
        if self._free < WORTH_IT:
            return False
        self._free -= 1
        return True


def idle_time(stat: Path = _STAT) -> float:
    """Return the seconds that the usable cores have been idle since the system started; 0 where it cannot be
    read.
    """
    try:
        lines = stat.read_text(encoding="ascii").splitlines()
        names = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        found = [line.split() for line in lines]
        # Columns 4 and 5: idle, and idle with a disk at work.
        ticks = sum(int(each[4]) + int(each[5]) for each in found if each and each[0] in names)
        return ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return 0.0


def _quota(folder: Path) -> float | None:
    """Return the cores that a container may use, by either version of control groups; None for all."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            words = " ".join((folder / name).read_text(encoding="ascii") for name in names).split()
            quota, period = float(words[0]), float(words[1])
        except (OSError, ValueError, IndexError):
            continue
        if quota > 0 and period > 0:
            return quota / period
    return None
