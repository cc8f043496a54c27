"""A bench as a process of its own with a limit of its own, that ends its servers when its time is over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENDING = 60.0
"""seconds that a bench has to end its servers"""


def run(
    command: Sequence[str], minutes: float, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> int | None:
    """Run a command to its end; its exit code, or None when it took longer than `minutes`."""
    process = subprocess.Popen(command, env={**os.environ, **(env or {})}, cwd=cwd)
    try:
        return process.wait(60 * minutes)
    except subprocess.TimeoutExpired:
        # As Ctrl-C does: its `finally` blocks run, which end the servers.
        process.send_signal(signal.SIGINT)
        try:
            process.wait(ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return None
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise


def script(folder: str, *arguments: str) -> list[str]:
    """The command `python FOLDER ARGUMENTS` for a table of bench/ or a check of qa/."""
    return [sys.executable, str(ROOT / folder), *arguments]
