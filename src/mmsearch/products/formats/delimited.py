"""CSV and its relatives as catalogs: each row becomes a JSON object. The separator is told by the rows."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Iterator
from typing import TextIO

from mmsearch.errors import CatalogError
from mmsearch.products.formats.found import Found
from mmsearch.products.formats.header import Header, header_at
from mmsearch.products.formats.quotes import with_literal_quotes
from mmsearch.products.record import MAX_LINE_BYTES, Line

SEPARATORS = {"csv": ",;\t|", "tsv": "\t"}
SAMPLED = 50
"""rows by which the separator is chosen"""
_SEP = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
"""Excel's own first line, which names the separator"""


class Delimited:
    """The rows of a table with a header. Empty cells are missing values, empty rows are skipped. The number
    of a row is that of its first line.
    """

    def __init__(self, stream: io.BufferedReader, name: str, found: Found, sample: bytes) -> None:
        csv.field_size_limit(MAX_LINE_BYTES)
        self._name = name
        # Undecodable bytes become lone surrogates, which the record parser rejects row by row.
        text = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="")
        lines = _lines(text, name)
        skipped = 0
        first = next(lines, "")
        found.separator = separator(sample.decode("utf-8", "replace"), SEPARATORS[found.format])
        if named := _SEP.fullmatch(first.strip("\r\n\ufeff")):
            found.separator = named[1]
            skipped, first = skipped + 1, next(lines, "")
        while first and not first.strip():
            skipped, first = skipped + 1, next(lines, "")
        self._separator = found.separator
        self._before = skipped
        self._text = text
        rows = _rows(sample.decode("utf-8", "replace"), found.separator)
        above = header_at(rows)
        lines = itertools.chain([first], lines)
        if found.separator == "\t" and len(rows) > above:
            lines = with_literal_quotes(lines, len(rows[above]) - 1)
        self._reader = csv.reader(lines, delimiter=found.separator, strict=False)
        if above:
            found.beside = (f"{above} {'line' if above == 1 else 'lines'} above the header",)
        try:
            self._header = Header(next(itertools.islice(filter(any, self._reader), above, None), []), name)
        except csv.Error as error:
            raise self._broken(error) from None
        found.columns = self._header.columns

    def __iter__(self) -> Iterator[Line]:
        try:
            number = self._next_number()
            for row in self._reader:
                if any(row):
                    yield self._line(row, number)
                number = self._next_number()
        except csv.Error as error:
            raise self._broken(error) from None

    def _next_number(self) -> int:
        return self._before + self._reader.line_num + 1

    def _line(self, row: list[str], number: int) -> Line:
        record = self._header.record(row)
        if record is not None:
            return Line(number, json.dumps(record).encode())
        wanted = len(self._header.columns)
        return Line(
            number,
            json.dumps(row).encode(),
            ("wrong_columns", f"expected {wanted} columns on line {number}, got {len(row)}"),
        )

    def _broken(self, error: csv.Error) -> CatalogError:
        return CatalogError(
            f"expected {self._separator!r}-separated rows in {self._name}, got: {error} after line "
            f"{self._before + self._reader.line_num}"
        )


def separator(sample: str, separators: str) -> str:
    """Return the separator by which most rows have the columns of the header; among equals the one that the
    header uses most.
    """
    return max(separators, key=lambda each: fit(sample, each))


def fit(sample: str, delimiter: str) -> tuple[float, int]:
    """Return the share of the first rows with the columns of the header, 0 if it has one, and the number of
    columns.
    """
    rows = _rows(sample, delimiter)
    above = header_at(rows)
    header, rows = (rows[above], rows[above + 1 :]) if rows else ([], [])
    while header and not header[-1].strip():
        header.pop()
    if len(header) < 2:
        return 0.0, len(header)
    fitting = sum(len(row) >= len(header) and not any(row[len(header) :]) for row in rows)
    return (fitting / len(rows) if rows else 1.0), len(header)


def _rows(sample: str, delimiter: str) -> list[list[str]]:
    """Return the first rows that are not empty; none if the separator does not make any."""
    lines = [line for line in io.StringIO(sample, newline="") if line.strip()]
    if lines and _SEP.fullmatch(lines[0].strip("\ufeff \r\n")):
        lines = lines[1:]
    try:
        return list(itertools.islice(filter(any, csv.reader(lines, delimiter=delimiter)), SAMPLED))
    except csv.Error:
        return []


def _lines(text: TextIO, name: str) -> Iterator[str]:
    while line := text.readline(MAX_LINE_BYTES):
        if len(line) == MAX_LINE_BYTES and not line.endswith("\n"):
            raise CatalogError(
                f"expected lines of at most {MAX_LINE_BYTES} characters in {name}, got a longer one"
            )
        yield line
