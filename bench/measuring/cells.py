"""Figures as cells of the page of results, and the hybrid's table, a line for each number of nodes, shards
and window. A figure is [what, value, target, verdict]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from measuring.crowd import CLIENTS
from measuring.interleaved import shown
from measuring.results import Record

Figure = Sequence[Any]
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


def bound(figure: Figure) -> str:
    """A figure's target, or nothing."""
    return str(figure[2]).replace(">=", "≥").replace("<=", "≤")


def judged(figure: Figure) -> str:
    """A figure's target, with its verdict where it is not met."""
    return bound(figure) + (f", **{figure[3]}**" if figure[3] in ("missed", "void") else "")


def value_of(figure: Figure) -> str:
    """What is measured, without its kind, and the value with its target."""
    what = figure[0].partition(": ")[2]
    return f"{what} {shown(figure[1])}{f' ({judged(figure)})' if bound(figure) else ''}".strip()


def grouped(figures: Sequence[Figure]) -> dict[str, list[Figure]]:
    """Figures by kind, which is what stands before a colon."""
    groups: dict[str, list[Figure]] = {}
    for figure in figures:
        groups.setdefault(figure[0].partition(": ")[0], []).append(figure)
    return groups


def of_two_arms(what: str, record: Record) -> tuple[list[float], list[float]] | None:
    """The rows of the arms whose ratio a figure is, or None."""
    arms, pair = record.get("arms", {}), what.split(" / ")
    return (arms[pair[0]], arms[pair[1]]) if len(pair) == 2 and set(pair) <= arms.keys() else None


def windows(tables: Mapping[str, Record]) -> list[str]:
    """The hybrid's table."""
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
