"""The one reader of products: what ingest encodes and what a training learns from are read alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from mmsearch.errors import RecordError
from mmsearch.products.record import Line, Product, parse

Parse = Callable[[Line, Mapping[str, str] | None], Product]


def read_products(
    lines: Iterable[Line], renames: Mapping[str, str] | None = None, parse: Parse = parse
) -> Iterator[tuple[Line, Product | RecordError]]:
    """Each line with its product, or with what is wrong with it; the caller counts what it leaves out.

    `renames` names the field of the record that stands for one of ours, as `--map title=name` does.
    """
    for line in lines:
        try:
            yield line, parse(line, renames)
        except RecordError as error:
            yield line, error


def duplicate(line: Line, identifier: str) -> RecordError:
    """What is wrong with the second line of an id: which of the two is meant cannot be known."""
    return RecordError(
        "duplicate_id", f"expected each id once, got {identifier!a} on line {line.number} again"
    )
