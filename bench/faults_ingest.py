"""F1 to F4 of ingest in full: killed runs, servers that go away, overload, rotten catalogues.

    .venv/bin/python bench/faults_ingest.py [--only f2]

F1 kills the run 100 times over 10,000 products; F2 kills and stops the encoder 20 times each and restarts the
node 5 times; F3 puts off 30 % of 50,000 documents, answers 10 % of the requests with 503 and cuts 5 % of the
answers; F4 has 5 % bad lines of more than 30 kinds among 100,000. The faults are drawn by fixed seeds, 1 to
4. Each prints what it counted and is passed when the index is what an undisturbed run leaves.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE = "tests/test_ingest_faults.py"
MINUTES = {"f1": 30, "f2": 20, "f3": 10, "f4": 10}


def passed(name: str, minutes: float) -> tuple[bool, str]:
    """Whether one fault's full form passes, and the line of its counts."""
    command = [sys.executable, "-c", "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"]
    chosen = ["-q", "-s", FILE, "-k", f"test_{name}_ and full"]
    try:
        done = subprocess.run(
            [*command, *chosen], cwd=ROOT, capture_output=True, text=True, timeout=60 * minutes, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"{name.upper()}: did not end within {minutes:g} minutes"
    label = f"{name.upper()}: "
    found = [label + line.split(label, 1)[1] for line in done.stdout.splitlines() if label in line]
    if done.returncode:
        print(done.stdout[-4000:], file=sys.stderr)
    return done.returncode == 0, found[-1] if found else f"{label}no count"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", action="append", choices=list(MINUTES), help="repeatable")
    asked = parser.parse_args()
    verdicts = []
    for name in asked.only or MINUTES:
        began = time.monotonic()
        met, counts = passed(name, MINUTES[name])
        verdicts.append(met)
        print(f"{'passed' if met else 'FAILED'} in {time.monotonic() - began:4.0f} s | {counts}", flush=True)
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    raise SystemExit(main())
