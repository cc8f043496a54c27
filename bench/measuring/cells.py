"""Figures as cells of the page of results. A figure is [what, value, target, verdict]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from measuring.interleaved import shown

Figure = Sequence[Any]


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


def of_two_arms(what: str, record: dict[str, Any]) -> tuple[list[float], list[float]] | None:
    """The rows of the arms whose ratio a figure is, or None."""
    arms, pair = record.get("arms", {}), what.split(" / ")
    return (arms[pair[0]], arms[pair[1]]) if len(pair) == 2 and set(pair) <= arms.keys() else None
