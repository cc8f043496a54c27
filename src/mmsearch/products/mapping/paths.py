"""Paths into a record: `title`, `title.en`, `images.0.src`, `images.*.src`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Place = tuple[str | int, ...]
"""the keys that lead to one value"""
EACH = "*"


def places(value: Any, path: str) -> Iterator[Place]:
    """Yield where a path leads in a record, in the record's order.

    A key may contain dots: the shortest head that leads somewhere is taken, and a key with exactly the name
    of the path before it. A list is passed through by an index, by `*`, or by the key of its elements. Where
    a list was expected and there is one element without a list, as XML readers leave it, the element is
    taken.
    """
    if isinstance(value, dict):
        yield from _in_object(value, path)
        return
    head, _, tail = path.partition(".")
    if isinstance(value, list):
        if head.isdecimal():
            index = int(head)
            if index < len(value):
                yield from _beyond((index,), value[index], tail)
            return
        rest = tail if head == EACH else path
        for index, each in enumerate(value):
            yield from _beyond((index,), each, rest)
    elif head in (EACH, "0") and not tail and value is not None:
        yield ()


def _in_object(value: Mapping[str, Any], path: str) -> Iterator[Place]:
    if path in value:
        yield (path,)
        return
    at = path.find(".")
    while at >= 0:
        head, tail = path[:at], path[at + 1 :]
        if head in value:
            found = [(head, *place) for place in places(value[head], tail)]
            if found:
                yield from found
                return
        at = path.find(".", at + 1)
    head, _, tail = path.partition(".")
    if head in (EACH, "0") and tail:
        found = list(_in_object(value, tail))
        yield from found
        if found or head == "0":
            return
    if head == EACH:
        for key, each in value.items():
            yield from _beyond((key,), each, tail)


def _beyond(before: Place, value: Any, path: str) -> Iterator[Place]:
    if not path:
        yield before
    else:
        yield from ((*before, *place) for place in places(value, path))


def value_at(record: Any, place: Place) -> Any:
    """Return the value at a place."""
    for key in place:
        record = record[key]
    return record


def several(record: Any, path: str) -> bool:
    """Return whether a path may lead to more than one value, so that its values are a list."""
    named = [part for part in path.split(".") if part.isdecimal()]
    return EACH in path.split(".") or any(
        sum(isinstance(key, int) for key in place) > len(named) for place in places(record, path)
    )


def without(value: Any, gone: set[Place]) -> Any:
    """Return a copy without the values at some places, and without the objects and lists that are empty for
    it. None where nothing is left.
    """
    if () in gone:
        return None
    if not gone:
        return value
    inner: dict[str | int, set[Place]] = {}
    for head, *tail in gone:
        inner.setdefault(head, set()).add(tuple(tail))
    if isinstance(value, dict):
        left = {key: without(each, inner.get(key, set())) for key, each in value.items()}
        kept: Any = {key: each for key, each in left.items() if each is not None or key not in inner}
    else:
        kept = [without(each, inner.get(index, set())) for index, each in enumerate(value)]
        kept = [each for index, each in enumerate(kept) if each is not None or index not in inner]
    return kept or None


def columns(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths of a record's values, as `--map` names them."""
    for name, value in record.items():
        yield from _columns(name, value, 4)


def _columns(name: str, value: Any, depth: int) -> Iterator[str]:
    if depth and isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _columns(f"{name}.{key}", inner, depth - 1)
    elif depth and isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for each in value:
            yield from _columns(f"{name}.{EACH}", each, depth - 1)
    else:
        yield name
