"""Every table of the benches, one after the other, and one page of results: `make bench`.

    .venv/bin/python bench/everything.py [--only hybrid --only neural] [--page bench/results.md]

Each step is a bench of its own with a limit of its own; one that fails or does not end leaves a line that
says so, and the next one runs. The page is written from the tables' JSON, with the verdict of every target.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interleaved import OUTPUT, machine

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Step:
    """One bench: what is run, the tables that it leaves, and how long it may take."""

    name: str
    command: tuple[str, ...]
    tables: tuple[str, ...]
    minutes: float


INGEST = {
    "ingest": "ingest",
    "stub": "ingest-stub",
    "bulk": "ingest-bulk",
    "bulk-graph": "ingest-bulk-graph",
    "again": "ingest-again",
    "memory": "ingest-memory",
}
STEPS = (
    *(Step(name, ("ingest.py", "--table", table), (name,), 12) for table, name in INGEST.items()),
    Step("evaluation", ("evaluation.py",), ("evaluation",), 3),
    Step("training", ("training.py",), ("training",), 6),
    Step("encoders", ("encoders.py",), ("encoders-latency", "encoders-throughput"), 8),
    Step("neural", ("neural.py",), ("neural", "neural-8-clients", "neural-cpu", "neural-sharing"), 14),
    Step(
        "hybrid",
        ("hybrid.py", "--documents", "50000"),
        ("hybrid-1-shards", "hybrid-1-shards-8-clients", "hybrid-3-shards", "hybrid-3-shards-8-clients"),
        14,
    ),
)


def run(step: Step) -> str:
    """Run a bench; what went wrong in a sentence, or nothing. A missed target does not count as wrong."""
    for table in step.tables:
        (OUTPUT / f"{table}.json").unlink(missing_ok=True)
    script = [sys.executable, str(HERE / step.command[0]), *step.command[1:]]
    began = time.monotonic()
    print(f"\n# {step.name}: {' '.join(step.command)}", flush=True)
    try:
        code = subprocess.run(script, timeout=60 * step.minutes, check=False).returncode
    except subprocess.TimeoutExpired:
        return f"did not end within {step.minutes:g} minutes"
    print(f"# {step.name} ended with {code} after {time.monotonic() - began:.0f} s", flush=True)
    missing = [table for table in step.tables if not (OUTPUT / f"{table}.json").is_file()]
    return f"ended with {code} and left no table {', '.join(missing)}" if missing else ""


def section(table: str) -> list[str]:
    """A table's part of the page."""
    record: dict[str, Any] = json.loads((OUTPUT / f"{table}.json").read_text(encoding="utf-8"))
    lines = [
        f"## {table}",
        "",
        f"| arm | median, {record['unit']} | min | max |",
        "| --- | --- | --- | --- |",
    ]
    for arm, values in record["figures"].items():
        lines.append(f"| {arm} | {statistics.median(values):.4g} | {min(values):.4g} | {max(values):.4g} |")
    if record["verdicts"]:
        lines += ["", "| ratio or figure | value | target | verdict |", "| --- | --- | --- | --- |"]
    for row in record["verdicts"]:
        lines.append(f"| {row['what']} | {row['value']:.4g} | {row['target']} | {verdict(row, record)} |")
    for note in record["notes"]:
        lines += ["", note]
    state = "valid" if record["valid"] else "void, the machine was too unsteady"
    return [*lines, "", f"A against A {record['a_against_a']:.3f}: {state}. {record['machine']}", ""]


def verdict(row: dict[str, Any], record: dict[str, Any]) -> str:
    """A void table's figures are shown but decide nothing."""
    if not row["target"]:
        return ""
    if not record["valid"]:
        return "void"
    return "met" if row["met"] else "**missed**"


def page(steps: tuple[Step, ...], failures: dict[str, str]) -> str:
    """The page of results, every table of every step on it, those without figures too."""
    lines = [
        "# Results",
        "",
        "Written by `make bench`. Every figure is a median over rounds in which the arms take turns; a ratio",
        "is taken pair by pair within a round. A table whose first arm differs from itself by more than 5 %",
        "is void.",
        "",
        machine(),
        "",
    ]
    versions: dict[str, str] = {}
    for step in steps:
        for table in step.tables:
            path = OUTPUT / f"{table}.json"
            if path.is_file():
                versions |= json.loads(path.read_text(encoding="utf-8"))["versions"]
    lines += [
        "Versions: " + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) + ".",
        "",
    ]
    for step in steps:
        for table in step.tables:
            if (OUTPUT / f"{table}.json").is_file():
                lines += section(table)
            else:
                lines += [f"## {table}", "", f"No figure: {failures.get(step.name, 'not run')}.", ""]
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", action="append", choices=[step.name for step in STEPS], help="repeatable")
    parser.add_argument("--page", type=Path, default=HERE / "results.md")
    asked = parser.parse_args()
    failures: dict[str, str] = {}
    for step in STEPS:
        if asked.only is None or step.name in asked.only:
            failure = run(step)
            if failure:
                failures[step.name] = failure
                print(f"mmsearch: bench {step.name} {failure}", file=sys.stderr)
    asked.page.write_text(page(STEPS, failures), encoding="utf-8")
    print(f"\nwrote {asked.page}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
