"""F9: random hybrids against slow references, on a real node and in the plugin's own cluster.

    .venv/bin/python qa faults-hybrids [--seed 9] [--short]

The first gives its reference, in Python, the lists of the legs alone, exact k-NN among them; the second's, in
Java, knows nothing of shards and sorts all products. 10,000 each; 300 and 150 in the short form.
"""

from __future__ import annotations

import random

from measuring.child import said
from measuring.interleaved import Table
from measuring.options import Options
from measuring.pytested import pytested

FILE = "tests/integration/test_hybrid_random.py"
MINUTES = 20.0
TABLES = ("F9-random-hybrids", "F9-random-hybrids-in-the-plugin")


def in_the_plugin(seed: int, hybrids: int) -> Table:
    """The plugin's own, by Maven."""
    table = Table(TABLES[1], "", {})
    # The framework's seeds are written in hexadecimal.
    options = ["-Dtest=RandomHybridsIT", f"-Dtests.hybrids={hybrids}", f"-Dtests.seed={seed:X}"]
    command = ["scripts/maven.sh", "-q", "test", *options]
    _, code = said(command, 60 * MINUTES)
    table.figure("passed", float(code == 0), {">=": 1})
    table.note(f"{hybrids} random hybrids on 1 to 5 shards, seed {seed:X}.")
    if code:
        table.note(f"Repeat: {' '.join(command)}")
    return table


def main() -> int:
    parser = Options(__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 10**9))
    asked = parser.parse()
    chosen = "test_random_hybrids" if asked.short else "test_ten_thousand"
    seed = {"MMSEARCH_SEED": str(asked.seed)}
    good = pytested(TABLES[0], FILE, chosen, r"(\d+ random hybrids .+ differ)", MINUTES, seed).finish()
    good &= in_the_plugin(asked.seed, 150 if asked.short else 10_000).finish()
    return 0 if good else 1
