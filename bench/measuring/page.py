"""The page of results, from the JSON that the tables have left: bench/results.md.

.venv/bin/python bench page
"""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measuring.interleaved import AGAIN, OUTPUT, machine, shown
from measuring.steps import BESIDE, STEPS

HERE = Path(__file__).parents[1]
PAGE = HERE / "results.md"
MISSED = HERE / "missed.md"
IMPROVED = HERE / "improved.md"
PLOTS = "plots"
PROFILES = OUTPUT / "profiles"
INTRODUCTION = """\
# Results

Written by `make bench`, `make quality`, `make security`, `make faults`, `make fuzz` and `make soak`.
Every figure of a measurement is a median over rounds in which the arms take turns.
A ratio is taken pair by pair within a round.
A table whose first arm differs from itself by more than 5 % is void."""


def read(table: str) -> dict[str, Any] | None:
    """What a table has left, or None."""
    path = OUTPUT / f"{table}.json"
    if not path.is_file():
        return None
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def section(table: str, record: dict[str, Any], level: str = "##") -> list[str]:
    """A table's part of the page."""
    lines = [f"{level} {table}"]
    if record["figures"]:
        lines += ["", f"| arm | median, {record['unit']} | min | max |", "| --- | --- | --- | --- |"]
    for arm, values in record["figures"].items():
        lines.append(
            f"| {arm} | {shown(statistics.median(values))} | {shown(min(values))} | {shown(max(values))} |"
        )
    if record["verdicts"]:
        lines += ["", "| ratio or figure | value | target | verdict |", "| --- | --- | --- | --- |"]
    for row in record["verdicts"]:
        lines.append(f"| {row['what']} | {shown(row['value'])} | {row['target']} | {verdict(row, record)} |")
    for note in record["notes"]:
        lines += ["", note]
    if (OUTPUT / f"{table}.svg").is_file():
        lines += ["", f"![{table}]({PLOTS}/{table}.svg)"]
    state = ""
    if AGAIN in record["figures"]:
        valid = "valid" if record["valid"] else "void, the machine was too unsteady"
        state = f"A against A {record['a_against_a']:.3f}: {valid}. "
    return [*lines, "", f"{state}{record['machine']}", ""]


def verdict(row: dict[str, Any], record: dict[str, Any]) -> str:
    """A void table's figures are shown but decide nothing, unless the machine's speed is not in them."""
    if not row["target"]:
        return ""
    if not record["valid"] and not row.get("exact"):
        return "void"
    return "met" if row["met"] else "**missed**"


def summary(records: Mapping[str, dict[str, Any]]) -> list[str]:
    """How many targets are met, and which are not."""
    rows = [
        (table, row, verdict(row, record)) for table, record in records.items() for row in record["verdicts"]
    ]
    counts = {word: sum(said == word for _, _, said in rows) for word in ("met", "**missed**", "void")}
    lines = [f"{counts['met']} targets met, {counts['**missed**']} missed, {counts['void']} void.", ""]
    missed = [(table, row, said) for table, row, said in rows if said in ("**missed**", "void")]
    if missed:
        lines += ["| table | figure | value | target | verdict |", "| --- | --- | --- | --- | --- |"]
        lines += [
            f"| {table} | {row['what']} | {shown(row['value'])} | {row['target']} | {said} |"
            for table, row, said in missed
        ]
        lines.append("")
    return lines


def profiles(failure: str) -> list[str]:
    """The summaries of bench profiles, and what went wrong with it."""
    files = sorted(PROFILES.glob("*.txt"))
    if not files:
        return ["## Profiles", "", f"None: {failure or 'not run'}.", ""]
    lines = ["## Profiles", "", "Taken by `.venv/bin/python bench profiles`.", ""]
    for file in files:
        lines += [f"### {file.stem}", "", "```text", *file.read_text(encoding="utf-8").rstrip().splitlines()]
        lines += ["```", ""]
    return lines


def page(failures: Mapping[str, str]) -> str:
    """The page, every table of every command on it, those without figures too."""
    tables = [table for step in STEPS for table in step.tables] + [t for b in BESIDE for t in b.tables]
    records = {table: record for table in tables if (record := read(table)) is not None}
    versions: dict[str, str] = {}
    for record in records.values():
        versions |= record["versions"]
    named = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    lines = [INTRODUCTION, "", machine(), "", f"Versions: {named}.", "", *summary(records)]
    for step in STEPS:
        for table in step.tables:
            if table in records:
                lines += section(table, records[table])
            else:
                lines += [f"## {table}", "", f"No figure: {failures.get(step.name, 'not run')}.", ""]
    for file in (MISSED, IMPROVED):
        lines += [*file.read_text(encoding="utf-8").splitlines(), ""]
    lines += profiles(failures.get("profiles", ""))
    for beside in BESIDE:
        lines += [f"## {beside.command}", "", beside.about, ""]
        for table in beside.tables:
            if table in records:
                lines += section(table, records[table], "###")
            else:
                lines += [f"### {table}", "", f"Not run: `{beside.command}`.", ""]
    return "\n".join(lines).rstrip() + "\n"


def write(failures: Mapping[str, str] | None = None, path: Path = PAGE) -> Path:
    """Write the page, its plots beside it, and return where it is."""
    path.write_text(page(failures or {}), encoding="utf-8")
    plots = path.parent / PLOTS
    for plot in OUTPUT.glob("*.svg"):
        plots.mkdir(exist_ok=True)
        shutil.copy(plot, plots / plot.name)
    return path


def main() -> int:
    print(write())
    return 0
