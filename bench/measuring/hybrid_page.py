"""The hybrid's part of the page of results: a line for each number of nodes, shards and window."""

from __future__ import annotations

from collections.abc import Mapping

from hybrid.arms import CLIENTS
from measuring.cells import judged
from measuring.interleaved import shown
from measuring.results import Record

CROWD = f"-{CLIENTS}-clients"
ARMS = ("hybrid", "bool", "official")
RATIOS = (
    ("", "hybrid / bool"),
    ("", "official / bool"),
    ("", "hybrid, facet / bool, facet"),
    (CROWD, "hybrid / bool"),
    (CROWD, "hybrid / official"),
)
HEADINGS = (
    "nodes, shards, window",
    "p50, ms: ours, `bool`, official",
    "A/A",
    "p50 to `bool`",
    "official to `bool`",
    "p50 with a facet to `bool`",
    f"q/s to `bool`, {CLIENTS} clients",
    "q/s to the official",
)


def windows(tables: Mapping[str, Record]) -> list[str]:
    """The table; a target stands behind its figure."""
    lines = [f"| {' | '.join(HEADINGS)} |", "| --- " * len(HEADINGS) + "|"]
    for name, record in tables.items():
        if name.endswith(CROWD):
            continue
        of = {"": record, CROWD: tables.get(name + CROWD, {})}
        cells = [cell(of[end], ratio) for end, ratio in RATIOS]
        times = ", ".join(shown(record["arms"][arm][0]) for arm in ARMS if arm in record["arms"])
        lines.append(f"| {label(name)} | {times} | {record['a_against_a']} | {' | '.join(cells)} |")
    return lines


def label(name: str) -> str:
    """`2, 3, 100` of `hybrid-2-nodes-3-shards-window-100`."""
    numbers = [part for part in name.split("-") if part.isdigit()]
    return ", ".join(numbers if len(numbers) == 3 else ["1", *numbers])


def cell(record: Record, ratio: str) -> str:
    """A ratio with its target."""
    found = next((figure for figure in record.get("figures", []) if figure[0] == ratio), None)
    if found is None:
        return ""
    return f"{shown(found[1])} ({judged(found)})" if found[2] else shown(found[1])
