"""The committed figures: one file a subject under bench/results, a row a line.

A table is kept as its arms `name: [median, lowest round, highest round]`, its figures
`[what, value, target, verdict]` and its notes, with the machine, the date, the versions and the rounds.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measuring.interleaved import A_AGAINST_A, AGAIN, OUTPUT
from measuring.steps import SUBJECTS

FOLDER = Path(__file__).parents[1] / "results"
ROWS = ("arms", "figures", "notes")
"""what is written a row a line; all else of a table stands on its first line"""

Record = dict[str, Any]


def read(subject: str) -> dict[str, Record]:
    """The tables of a subject by name, in its order."""
    path = FOLDER / f"{subject}.json"
    kept: dict[str, Record] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {table: kept[table] for table in SUBJECTS[subject] if table in kept}


def write(subject: str, tables: Mapping[str, Record]) -> None:
    """Replace a subject's file."""
    whole = ",\n".join(f"{json.dumps(name)}: {written(record)}" for name, record in tables.items())
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{subject}.json").write_text(f"{{\n{whole}\n}}\n", encoding="utf-8")


def written(record: Record) -> str:
    """A table as JSON, a row a line."""
    head = {key: value for key, value in record.items() if key not in ROWS}
    parts = [json.dumps(head, ensure_ascii=False)[:-1]]
    for key in ROWS:
        rows = record.get(key)
        if isinstance(rows, dict):
            lines = [f"  {_dumped(name)}: {_dumped(row)}" for name, row in rows.items()]
            parts.append(f' "{key}": {{\n' + ",\n".join(lines) + "}")
        elif rows:
            parts.append(f' "{key}": [\n' + ",\n".join(f"  {_dumped(row)}" for row in rows) + "]")
    return ",\n".join(parts) + "}"


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def condensed(raw: Mapping[str, Any]) -> Record:
    """What is kept of the record that a table leaves under build/bench."""
    figures = [
        [row["what"], _rounded(row["value"]), row["target"], _verdict(row, raw["valid"])]
        for row in raw["verdicts"]
    ]
    rounds = {len(values) for values in raw["figures"].values()}
    record: Record = {
        "date": raw["date"],
        "machine": raw["machine"],
        "versions": ", ".join(f"{name} {version}" for name, version in raw["versions"].items()),
        "unit": raw["unit"],
        "rounds": rounds.pop() if len(rounds) == 1 else None,
        "a_against_a": raw["a_against_a"] and round(raw["a_against_a"], 3),
        "arms": {
            arm: [_rounded(each) for each in (statistics.median(values), min(values), max(values))]
            for arm, values in raw["figures"].items()
            if arm != AGAIN
        },
        "figures": figures,
        "notes": raw["notes"],
    }
    return {key: value for key, value in record.items() if value not in (None, "", {}, [])}


def _rounded(value: float) -> float:
    """Six digits; whole numbers whole."""
    return int(value) if float(value).is_integer() else float(f"{value:.6g}")


def _verdict(row: Mapping[str, Any], valid: bool) -> str:
    """A void table's figures are shown but decide nothing, unless the machine's speed is not in them."""
    if not row["target"]:
        return ""
    if not valid and not row.get("exact"):
        return "void"
    return "met" if row["met"] else "missed"


def take(folder: Path = OUTPUT) -> list[str]:
    """Take the tables that were measured since into the committed ones; what was taken, and what was not.

    A void table takes the place of nothing but a void one.
    """
    said = []
    for subject, names in SUBJECTS.items():
        tables = read(subject)
        fresh = {name: condensed(raw) for name in names if (raw := _left(folder, name)) is not None}
        for name, record in fresh.items():
            earlier = tables.get(name)
            if earlier and record["date"] <= earlier["date"]:
                continue
            if earlier and is_void(record) and not is_void(earlier):
                said.append(f"{name} is void and does not replace the table of {earlier['date']}")
                continue
            tables[name] = record
            said.append(f"{name} is taken into {subject}.json")
        if tables:
            write(subject, {name: tables[name] for name in names if name in tables})
    return said


def _left(folder: Path, table: str) -> Mapping[str, Any] | None:
    path = folder / f"{table}.json"
    raw: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return raw if raw and "date" in raw else None


def is_void(record: Record) -> bool:
    """Whether the machine was too unsteady for the table's times to decide anything."""
    low, high = A_AGAINST_A
    return not low <= record.get("a_against_a", 1.0) <= high
