"""F1 to F4 of ingest in full: killed runs, servers that go away, overload, rotten catalogs.

    .venv/bin/python qa faults-ingest [--only F2] [--short]

F1 kills the run 100 times over 10,000 products; F2 kills and stops the encoder 20 times each and restarts the
node 5 times; F3 puts off 30 % of 50,000 documents, answers 10 % of the requests with 503 and cuts 5 % of the
answers; F4 has 5 % bad lines of more than 30 kinds among 100,000. The faults are drawn by fixed seeds, 1 to
4. Each prints what it counted and is passed when the index is what an undisturbed run leaves.
"""

from __future__ import annotations

import time

from measuring.options import Options
from measuring.pytested import pytested

FILE = "tests/integration/test_ingest_faults.py"
MINUTES = {"F1": 30.0, "F2": 20.0, "F3": 10.0, "F4": 10.0}
TABLES = {
    "F1": "F1-ingest-killed",
    "F2": "F2-servers-away",
    "F3": "F3-node-overloaded",
    "F4": "F4-rotten-catalog",
}


def main() -> int:
    parser = Options(__doc__)
    parser.only(MINUTES)
    asked = parser.parse()
    form = "short" if asked.short else "full"
    good = True
    for name in asked.only or MINUTES:
        began = time.monotonic()
        chosen = f"test_{name.lower()}_ and {form}"
        table = pytested(TABLES[name], FILE, chosen, rf"{name}: (.+)", MINUTES[name])
        table.note(f"The {form} form, seed {name[1:]}, {time.monotonic() - began:.0f} s.")
        good &= table.finish()
    return 0 if good else 1
