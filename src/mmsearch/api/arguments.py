"""Checks of the API's arguments. Each raises ArgumentError with one sentence."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from mmsearch.errors import ArgumentError

Limit = tuple[int, float]
"""a count, and a share"""


def require_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Return a value that must be one of some names."""
    if not isinstance(value, str) or value not in choices:
        raise ArgumentError(f"expected {name} out of {', '.join(choices)}, got {shown(value)}")


def require_number(name: str, value: float, least: float, most: float = math.inf) -> None:
    """Return a number within inclusive bounds; it must be whole if the lower bound is an int."""
    kinds = int if isinstance(least, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
        upper = "" if most == math.inf else f" to {most}"
        what = "a whole number" if isinstance(least, int) else "a number"
        raise ArgumentError(f"expected {what} from {least}{upper} as {name}, got {shown(value)}")


def path_of(name: str, value: str | os.PathLike[str]) -> Path:
    """Return a path."""
    if not isinstance(value, str | os.PathLike):
        raise ArgumentError(f"expected a path as {name}, got {shown(value)}")
    return Path(value)


def limit_of(name: str, value: float | None) -> Limit | None:
    """Return a count as an int, or a share from 0 to 1 as a float."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ArgumentError(f"expected a number from 0 up as {name}, got {shown(value)}")
    if isinstance(value, int):
        return value, 1.0
    if value > 1:
        raise ArgumentError(f"expected a count as an int or a share from 0.0 to 1.0 as {name}, got {value}")
    return sys.maxsize, value


def slice_of(value: tuple[int, int] | None) -> tuple[int, int]:
    """Return the slice (I, N), I from 1."""
    if value is None:
        return 1, 1
    if not (isinstance(value, tuple) and len(value) == 2 and all(isinstance(each, int) for each in value)):
        raise ArgumentError(f"expected slice=(I, N) with I from 1 to N, such as (2, 4), got {shown(value)}")
    if not 1 <= value[0] <= value[1]:
        raise ArgumentError(f"expected slice=(I, N) with I from 1 to N, such as (2, 4), got {value}")
    return value


def records_of(what: str, value: Any) -> Iterable[Any]:
    """Return an iterable of dicts, from one or from a pandas DataFrame."""
    if isinstance(value, Mapping | bytes | bytearray) or not isinstance(value, Iterable):
        repair = "put it in a list" if isinstance(value, Mapping) else "give one of these"
        raise ArgumentError(
            f"expected {what} as an iterable of dicts, a path or a pandas DataFrame, got "
            f"{type(value).__name__}; {repair}"
        )
    return value


def shown(value: object) -> str:
    """Return a value as text for messages."""
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
