"""Quotes in tab-separated tables whose writers quote nothing, as in the exports of Open Food Facts."""

from __future__ import annotations

from collections.abc import Iterator


def with_literal_quotes(lines: Iterator[str], tabs: int) -> Iterator[str]:
    """Yield the lines of a table with this many tabs in a row; in a whole row, a quote that is not closed is
    text.

    Otherwise it would begin a cell that ends at the next quote, and the rows between would be lost in it. A
    cell that does go on in the next line has fewer tabs before its end, or behind it.
    """
    held: str | None = None
    while (line := next(lines, None) if held is None else held) is not None:
        held = None
        if '"' in line and line.count("\t") == tabs and line.count('"') % 2:
            held = next(lines, None)
            if held is None or held.count("\t") == tabs:
                line = _quoted(line)
        yield line


def _quoted(line: str) -> str:
    """Return the line with quotes around the cells that have some, as readers of tables expect it."""
    row = line.rstrip("\r\n")
    cells = ['"' + cell.replace('"', '""') + '"' if '"' in cell else cell for cell in row.split("\t")]
    return "\t".join(cells) + line[len(row) :]
