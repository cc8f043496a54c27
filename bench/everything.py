"""Every table of the benches, one after the other, and the page of results: `make bench`.

    .venv/bin/python bench everything [--only "hybrid --windows 100" --only neural] [--short]

Each step is a bench of its own with a limit of its own; one that fails or does not end is named, and the next
one runs. All of them together have 90 minutes, on two cores that nobody else uses. What they measured is
taken into bench/results.
"""

from __future__ import annotations

import sys
import time

from measuring import child, page
from measuring.interleaved import output
from measuring.options import Options
from measuring.steps import STEPS, Step

LIMIT = 90.0
"""minutes for all"""


def run(step: Step, left: float) -> str:
    """Run a bench; what went wrong in a sentence, or nothing. A missed target does not count as wrong.

    `left` are the minutes that all steps together still have.
    """
    for table in step.tables:
        (output() / f"{table}.json").unlink(missing_ok=True)
    minutes = min(step.minutes, left)
    if minutes < 1:
        return f"had no time left of the {LIMIT:g} minutes for all"
    began = time.monotonic()
    print(f"\n# {step.name}", flush=True)
    code = child.run(child.script("bench", *step.command), minutes)
    if code is None:
        return f"did not end within {minutes:.3g} minutes"
    print(f"# {step.name} ended with {code} after {time.monotonic() - began:.0f} s", flush=True)
    missing = [table for table in step.tables if not (output() / f"{table}.json").is_file()]
    return f"ended with {code} and left no table {', '.join(missing)}" if missing else ""


def main() -> int:
    parser = Options(__doc__)
    parser.only(step.name for step in STEPS)
    asked = parser.parse()
    began = time.monotonic()
    failed = False
    for step in STEPS:
        if asked.only is None or step.name in asked.only:
            failure = run(step, LIMIT - (time.monotonic() - began) / 60)
            if failure:
                failed = True
                print(f"mmsearch: bench {step.name} {failure}", file=sys.stderr)
    print(f"\nafter {(time.monotonic() - began) / 60:.0f} minutes")
    if not asked.short:
        page.renew()
    return 1 if failed else 0
