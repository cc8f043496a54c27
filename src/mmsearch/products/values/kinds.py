"""What an attribute's value is: a number, a date, true or false, or words.

A value is of a field's type if OpenSearch indexes it there exactly as it is: no digit is lost, no number is
guessed out of a code such as `007` or `12E3`.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

DATE_FORMAT = (
    "strict_date_optional_time||uuuu-MM-dd HH:mm[:ss][.SSSSSSSSS][.SSSSSS][.SSS][XXX][X]"  # as pandas writes
)
"""the date forms that a field of ours takes"""
EXACT = 2**53
"""up to here a double holds every integer"""
MAX_DIGITS = 24
"""the longest text of a double as Python writes it; a longer one has digits that get lost"""
# A leading zero makes it a code. An exponent is written as Python and pandas write it.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:e[+-][0-9]{2,3})?")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_CODE = re.compile(r"-?0[0-9]+")
_OFFSET = r"(?:Z|[+-](?:0[0-9]|1[0-4]){}[0-5][0-9])?"
_DATE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]{1,9})?)?"
    rf"{_OFFSET.format(':?')}"
    r"| (?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.(?:[0-9]{3}|[0-9]{6}|[0-9]{9}))?)?"
    rf"{_OFFSET.format(':')})?"
)
_LARGEST = {"double": math.inf, "float": 3.4e38, "half_float": 65504.0, "scaled_float": 1e15}
_INTEGERS = {
    "byte": (-(2**7), 2**7 - 1),
    "short": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1),
    "unsigned_long": (0, 2**64 - 1),
}


def is_number(value: object) -> bool:
    """Whether a double holds the number, or the number that the text is, exactly enough."""
    if isinstance(value, str):
        if len(value) > MAX_DIGITS or not _NUMBER.fullmatch(value):
            return False
        value = int(value) if _INTEGER.fullmatch(value) else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) <= EXACT


def is_integer(value: object, least: int = -(2**63), most: int = 2**63 - 1) -> bool:
    """Whether it is an integer within bounds, or the text of one."""
    if isinstance(value, str):
        if len(value) > MAX_DIGITS or not _INTEGER.fullmatch(value):
            return False
        value = int(value)
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_code(value: object) -> bool:
    """Whether it looks like a number and is none: it has a leading zero, or more digits than 64 bits."""
    if isinstance(value, str):
        return bool(_CODE.fullmatch(value)) or (bool(_INTEGER.fullmatch(value)) and not is_integer(value))
    return isinstance(value, int) and not isinstance(value, bool) and not is_integer(value)


def is_date(value: object) -> bool:
    """Whether it is a day of the calendar in ISO 8601, with or without a time."""
    found = _DATE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return False
    try:
        datetime.date.fromisoformat(found[1])
    except ValueError:
        return False
    return True


def is_boolean(value: object) -> bool:
    """Whether it is true or false, or the text of one of them; `yes` and `True` are words."""
    return isinstance(value, bool) or value in ("true", "false")


def is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float)


def _real(kind: str) -> Callable[[object], bool]:
    most = _LARGEST[kind]
    return lambda value: is_number(value) and abs(float(value)) <= most  # type: ignore[arg-type]


def _integer(kind: str) -> Callable[[object], bool]:
    least, most = _INTEGERS[kind]
    return lambda value: is_integer(value, least, most)


_FITS: Mapping[str, Callable[[object], bool]] = {
    **{kind: _real(kind) for kind in _LARGEST},
    **{kind: _integer(kind) for kind in _INTEGERS},
    "double": is_number,
    "date": is_date,
    "boolean": is_boolean,
    "keyword": is_scalar,
    "text": is_scalar,
}
ANY = "any"
"""the type of a field of which only OpenSearch knows what fits"""
TYPES = frozenset(_FITS)
"""the types of fields that are known here"""
NUMBERS = frozenset((*_LARGEST, *_INTEGERS))
RANGES = frozenset((*NUMBERS, "date"))
"""the types whose values have an order"""


def fits(kind: str, value: Any) -> bool:
    """Whether a field of the type takes the value, or each of a list of them."""
    if kind == ANY:
        return True
    check = _FITS[kind]
    if isinstance(value, list):
        return bool(value) and all(map(check, value))
    return check(value)
