"""The reader of products that ingest and training share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from mmsearch.errors import RecordError
from mmsearch.products.record import Line, Product, parse

Parse = Callable[[Line, Mapping[str, str] | None], Product]


def read_products(
    lines: Iterable[Line], renames: Mapping[str, str] | None = None, parse: Parse = parse
) -> Iterator[tuple[Line, Product | RecordError]]:
    """Yield each line with its product or its error. The caller counts the errors.

    `renames` maps our field names to those of the record, as in `--map title=name`.
    """
    for line in lines:
        try:
            yield line, parse(line, renames)
        except RecordError as error:
            yield line, error


def duplicate(line: Line, identifier: str) -> RecordError:
    """Return the error for a repeated id: it is ambiguous which line is meant."""
    return RecordError(
        "duplicate_id", f"expected each id once, got {identifier!a} on line {line.number} again"
    )
