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


def said(command: Sequence[str], seconds: float, env: Mapping[str, str] | None = None) -> tuple[str, int]:
    """What a command prints and its exit code, 124 when it takes longer; the end of a failure is shown."""
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
        printed, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired:
        printed, code = f"did not end within {seconds:g} s", 124
    if code:
        print(printed[-6000:], file=sys.stderr)
    return printed, code


def script(folder: str, *arguments: str) -> list[str]:
    """The command `python FOLDER ARGUMENTS` for a table of bench/ or a check of qa/."""
    return [sys.executable, str(ROOT / folder), *arguments]
