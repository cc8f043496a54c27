"""Every table of the benches, one after the other, and one page of results: `make bench`.

    .venv/bin/python bench everything [--only hybrid --only neural] [--page bench/results.md]

Each step is a bench of its own with a limit of its own; one that fails or does not end leaves a line that
says so, and the next one runs. All of them together have 65 minutes, on two cores that nobody else uses. The
page is written from the tables' JSON, with the verdict of every target; what `make faults`, `make fuzz` and
`make soak` have left is on it too.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from measuring import child, page
from measuring.interleaved import OUTPUT
from measuring.steps import STEPS, Step

LIMIT = 65.0
"""minutes for all"""


def run(step: Step, left: float) -> str:
    """Run a bench; what went wrong in a sentence, or nothing. A missed target does not count as wrong.

    `left` are the minutes that all steps together still have.
    """
    for table in step.tables:
        (OUTPUT / f"{table}.json").unlink(missing_ok=True)
    minutes = min(step.minutes, left)
    if minutes < 1:
        return f"had no time left of the {LIMIT:g} minutes for all"
    began = time.monotonic()
    print(f"\n# {step.name}: {' '.join(step.command)}", flush=True)
    code = child.run(child.script("bench", *step.command), minutes)
    if code is None:
        return f"did not end within {minutes:.3g} minutes"
    print(f"# {step.name} ended with {code} after {time.monotonic() - began:.0f} s", flush=True)
    missing = [table for table in step.tables if not (OUTPUT / f"{table}.json").is_file()]
    return f"ended with {code} and left no table {', '.join(missing)}" if missing else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", action="append", choices=[step.name for step in STEPS], help="repeatable")
    parser.add_argument("--page", type=Path, default=page.PAGE)
    asked = parser.parse_args()
    failures: dict[str, str] = {}
    began = time.monotonic()
    for step in STEPS:
        if asked.only is None or step.name in asked.only:
            failure = run(step, LIMIT - (time.monotonic() - began) / 60)
            if failure:
                failures[step.name] = failure
                print(f"mmsearch: bench {step.name} {failure}", file=sys.stderr)
    print(f"\nwrote {page.write(failures, asked.page)} after {(time.monotonic() - began) / 60:.0f} minutes")
    return 1 if failures else 0
