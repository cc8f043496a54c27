"""F1 to F11, the faults that mmsearch has to live with, in full, one after the other: `make faults`.

    .venv/bin/python qa faults [--only F5] [--short] [--seed 9]

Each prints what it counted, with the command that repeats it where it fails. Seeds are fixed but F9's, which
is drawn and printed unless given. F10 is run for two minutes here, in which its rises are shown and not
judged: `make soak` is its full form.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from faults import hybrids, ingest, query
from measuring.child import run, script
from measuring.interleaved import output, shown
from measuring.options import Options

SOAK = "F10-soak-of-two-minutes"


@dataclass(frozen=True)
class Fault:
    """One or more faults that one command tries: the tables it leaves, and how long it may take."""

    names: tuple[str, ...]
    command: tuple[str, ...]
    tables: tuple[str, ...]
    minutes: float


def chosen(seed: int | None) -> list[Fault]:
    """All of them; those that run know by the environment that short forms are asked for."""
    drawn = () if seed is None else ("--seed", str(seed))
    return [
        *(
            Fault((name,), ("faults-ingest", "--only", name), (ingest.TABLES[name],), 1 + limit)
            for name, limit in ingest.MINUTES.items()
        ),
        *(
            Fault((name,), ("faults-query", "--only", name), (table,), 10)
            for name, table in query.TABLES.items()
        ),
        Fault(("F9",), ("faults-hybrids", *drawn), hybrids.TABLES, 42),
        Fault(("F10",), ("soak", "--minutes", "2", "--name", SOAK), (SOAK,), 8),
    ]


def result_of(fault: Fault, code: int | None) -> tuple[bool, str]:
    """Whether it is passed, and a line of what its tables say."""
    met, lines = code == 0, []
    for table in fault.tables:
        path = output() / f"{table}.json"
        if not path.is_file():
            return False, f"no table {table}" + (f" within {fault.minutes:g} minutes" if code is None else "")
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        missed = [f"{row['what']} {shown(row['value'])}" for row in record["verdicts"] if not row["met"]]
        lines.append("missed " + ", ".join(missed) if missed else f"{len(record['verdicts'])} figures met")
        lines += record["notes"][:1]
    return met, "; ".join(lines)


def main() -> int:
    parser = Options(__doc__)
    parser.only(f"F{number}" for number in range(1, 12))
    parser.add_argument("--seed", type=int, help="of F9")
    asked = parser.parse()
    summary = []
    for fault in chosen(asked.seed):
        if asked.only and not set(fault.names) & set(asked.only):
            continue
        for table in fault.tables:
            (output() / f"{table}.json").unlink(missing_ok=True)
        command = script("qa", *fault.command)
        began = time.monotonic()
        print(f"\n# {' '.join(fault.names)}: {' '.join(fault.command)}", flush=True)
        met, line = result_of(fault, run(command, fault.minutes))
        again = "" if met else f" | again: .venv/bin/python qa {' '.join(fault.command)}"
        verdict = "passed" if met else "FAILED"
        seconds = time.monotonic() - began
        summary.append((met, f"{' '.join(fault.names)} {verdict} in {seconds:.0f} s: {line}{again}"))
    print("\n" + "\n".join(line for _, line in summary))
    return 0 if all(met for met, _ in summary) else 1
