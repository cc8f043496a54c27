"""Ids of products and queries as files and programs give them: `" 77 "` and `77` are one id."""

from __future__ import annotations

from typing import Any

MAX_EXACT = 1 << 53
"""up to here a float has every integer"""
_WRAPPED = ("#text", "@value", "$oid", "$numberLong", "$numberInt")
EXPECTED = "a string or an integer"


def identifier(value: Any) -> str:
    """Return an id without the white space around it, empty if there is none.

    An integer is its digits, and so is a float without a fraction: spreadsheets, and tables with missing
    values, have no other integers. Raise ValueError for anything else, such as a boolean or a list.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        raise ValueError(EXPECTED)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_EXACT:
        return str(int(value))
    if isinstance(value, dict):
        # An XML element with attributes, JSON-LD, or an export of MongoDB.
        for key in _WRAPPED:
            if isinstance(value.get(key), str):
                return str(value[key]).strip()
    raise ValueError(EXPECTED)


def identifier_or_empty(value: Any) -> str:
    """Return an id as `identifier` does, and an empty text where that raises an error."""
    try:
        return identifier(value)
    except ValueError:
        return ""
