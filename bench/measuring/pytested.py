"""A test in its full form as a table: whether it passes, and the line of what it counted."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping

from measuring.child import said
from measuring.interleaved import Table

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
    printed, code = said([*PYTEST, *arguments], 60 * minutes, env)
    found = re.findall(counts, printed)
    # Without its count the test has not run, whatever the exit code says.
    good = code == 0 and bool(found)
    table.figure("passed", float(good), {">=": 1})
    if found:
        table.note(f"{found[-1]}.")
    if not good:
        table.note(f"Repeat: {repeat}")
    return table
