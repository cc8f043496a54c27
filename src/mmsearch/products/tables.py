"""Read CSV, TSV and Parquet rows as catalog lines: each row becomes a JSON object."""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
import re
from collections.abc import Iterator
from typing import IO, Any

import orjson

from mmsearch.errors import CatalogError
from mmsearch.products.record import MAX_LINE_BYTES, Line

BATCH_ROWS = 256
SEPARATORS = {"csv": ",;\t|", "tsv": "\t"}


def delimited(stream: IO[bytes], separators: str, name: str) -> Iterator[Line]:
    """Yield the rows of a CSV or TSV file with a header. Empty cells are missing values. The number of a row
    is that of its first line. The separator is the one of `separators` that the header uses.
    """
    csv.field_size_limit(MAX_LINE_BYTES)
    # Undecodable bytes become lone surrogates, which the record parser rejects row by row.
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    first = text.readline()
    delimiter = separator(first, separators)
    reader = csv.reader(itertools.chain([first], text), delimiter=delimiter, strict=False)
    try:
        header = next(reader, [])
        if not header or len(set(header)) != len(header):
            raise CatalogError(f"expected a header with distinct column names in {name}, got {header[:20]}")
        number = reader.line_num + 1
        for row in reader:
            if row:
                yield _row(header, row, number)
            number = reader.line_num + 1
    except csv.Error as error:
        raise CatalogError(
            f"expected {delimiter!r}-separated rows in {name}, got: {error} after line {reader.line_num}"
        ) from None
    finally:
        text.detach()


def separator(header: str, separators: str) -> str:
    """Return the most frequent separator of the header outside quotes, or the first one if there is none."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(separators, key=bare.count)


def _row(header: list[str], row: list[str], number: int) -> Line:
    if len(row) != len(header):
        return Line(
            number,
            json.dumps(row).encode(),
            ("wrong_columns", f"expected {len(header)} columns on line {number}, got {len(row)}"),
        )
    return Line(
        number, json.dumps({name: cell for name, cell in zip(header, row, strict=True) if cell}).encode()
    )


def parquet(stream: IO[bytes], name: str) -> Iterator[tuple[Line, float]]:
    """Yield the rows of a Parquet file, numbered from 1, with the share of the file that has been read.

    Binary columns become `data:` URIs, so that the file can contain the images.
    """
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise CatalogError(
            f"expected pyarrow to read {name}, got none; install it by: pip install 'mmsearch[formats]'"
        ) from None
    number = 0
    try:
        file = pyarrow.parquet.ParquetFile(stream)
        total = max(1, file.metadata.num_rows)
        for batch in file.iter_batches(BATCH_ROWS):
            for row in batch.to_pylist():
                number += 1
                present = {key: _json(value) for key, value in row.items() if value is not None}
                yield Line(number, orjson.dumps(present, default=str)), number / total
    except (pyarrow.ArrowException, OSError) as error:
        raise CatalogError(
            f"expected {name} to be a whole Parquet file, got: {str(error).splitlines()[0]}; "
            f"the first {number} rows are indexed"
        ) from None


def _json(value: Any) -> Any:
    if isinstance(value, bytes):
        return "data:;base64," + base64.b64encode(value).decode()
    if isinstance(value, dict):
        # Data sets often store images as a struct of bytes and the name of a file that does not exist.
        return _json(value["bytes"]) if isinstance(value.get("bytes"), bytes) else value
    if isinstance(value, list):
        return [_json(each) for each in value]
    return value
