"""F9: random hybrids against slow references, on a real node and in the plugin's own cluster.

    .venv/bin/python qa faults-hybrids [--seed 9] [--short]

The first gives its reference, in Python, the lists of the legs alone, exact k-NN among them; the second's, in
Java, knows nothing of shards and sorts all products. 10,000 each; 300 and 150 in the short form.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time

from measuring.interleaved import Table, arguments
from measuring.pytested import ROOT, pytested

FILE = "tests/integration/test_hybrid_random.py"
MINUTES = 20.0
TABLES = ("F9-random-hybrids", "F9-random-hybrids-in-the-plugin")


def in_the_plugin(seed: int, hybrids: int) -> Table:
    """The plugin's own, by Maven."""
    table = Table(TABLES[1], "", {})
    # The framework's seeds are written in hexadecimal.
    options = ["-Dtest=RandomHybridsIT", f"-Dtests.hybrids={hybrids}", f"-Dtests.seed={seed:X}"]
    command = ["scripts/maven.sh", "-q", "test", *options]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=60 * MINUTES, check=False
        )
    except subprocess.TimeoutExpired:
        table.figure("passed", 0, {">=": 1})
    else:
        table.figure("passed", float(done.returncode == 0), {">=": 1})
        if done.returncode:
            print(done.stdout[-6000:], done.stderr[-2000:], f"Repeat: {' '.join(command)}", file=sys.stderr)
    table.note(f"{hybrids} random hybrids on 1 to 5 shards, seed {seed:X}.")
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 10**9))
    asked = arguments(parser)
    good = True
    began = time.monotonic()
    chosen = "test_random_hybrids" if asked.short else "test_ten_thousand"
    seed = {"MMSEARCH_SEED": str(asked.seed)}
    table = pytested(TABLES[0], FILE, chosen, r"(\d+ random hybrids .+ differ)", MINUTES, seed)
    table.note(f"It took {time.monotonic() - began:.0f} s.")
    good &= table.finish()
    began = time.monotonic()
    table = in_the_plugin(asked.seed, 150 if asked.short else 10_000)
    table.note(f"It took {time.monotonic() - began:.0f} s.")
    good &= table.finish()
    return 0 if good else 1
