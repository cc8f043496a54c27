"""`make containers` as a test of the slow layer, so that the suite's closing line says whether it ran."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_compose_file_runs_as_documented() -> None:
    done = subprocess.run(
        [sys.executable, "qa", "containers"], cwd=ROOT, capture_output=True, text=True, timeout=3000
    )
    if done.stdout.startswith("SKIPPED"):
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    assert "/products/_search with neural" in done.stdout.splitlines()[-1]


def test_where_no_engine_can_run_it_is_one_line_and_no_failure() -> None:
    script = (
        f"import sys; sys.argv = ['run.py']; sys.path.insert(0, {str(ROOT / 'qa')!r})\n"
        "from containers import engine, run\n"
        "def running(): raise engine.NoEngineError('expected root')\n"
        "engine.running = running\n"
        "sys.exit(run.main())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "SKIPPED make containers: expected root\n", "")
