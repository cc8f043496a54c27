"""A test in its full form as a table: whether it passes, and the line of what it counted."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from measuring.interleaved import Table

ROOT = Path(__file__).parents[2]
PYTEST = [sys.executable, "-c", "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"]


def pytested(
    name: str, file: str, chosen: str, counts: str, minutes: float, env: Mapping[str, str] | None = None
) -> Table:
    """Run what `chosen` selects of a file of tests, and keep what the last line that `counts` finds says.

    A failure is shown in full, with the command that repeats it.
    """
    arguments = ["-q", "-s", file, "-k", chosen]
    repeat = " ".join(
        [*(f"{key}={value}" for key, value in (env or {}).items()), ".venv/bin/pytest"]
        + [shlex.quote(each) for each in arguments]
    )
    table = Table(name, "", {})
    try:
        done = subprocess.run(
            [*PYTEST, *arguments],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=60 * minutes,
            check=False,
        )
    except subprocess.TimeoutExpired:
        table.figure("passed", 0, {">=": 1})
        table.note(f"It did not end within {minutes:g} minutes. Repeat: {repeat}")
        return table
    found = re.findall(counts, done.stdout)
    # Without its count the test has not run, whatever the exit code says.
    good = done.returncode == 0 and bool(found)
    table.figure("passed", float(good), {">=": 1})
    if found:
        table.note(f"{found[-1]}.")
    if not good:
        print(done.stdout[-6000:], file=sys.stderr)
        table.note(f"Repeat: {repeat}")
    return table
