"""Parquet files as catalogs: each row becomes a JSON object."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import IO, Any

import orjson

from mmsearch.errors import CatalogError
from mmsearch.products.formats.found import Found
from mmsearch.products.record import Line

BATCH_ROWS = 256
MAGIC = b"PAR1"


class Parquet:
    """The rows of a Parquet file, numbered from 1. Binary columns become `data:` URIs, so that the file can
    contain the images.
    """

    def __init__(self, file: IO[bytes], name: str, found: Found) -> None:
        try:
            import pyarrow.parquet
        except ModuleNotFoundError:
            raise CatalogError(
                f"expected pyarrow to read {name}, got none; install it by: pip install 'mmsearch[formats]'"
            ) from None
        self._name = name
        self._errors = (pyarrow.ArrowException, OSError)
        self._number = 0
        try:
            self._file = pyarrow.parquet.ParquetFile(file)
            self._total = max(1, self._file.metadata.num_rows)
            found.columns = tuple(self._file.schema_arrow.names)
        except self._errors as error:
            raise self._broken(error) from None

    def share(self) -> float:
        """Return the share of the rows read, 0 to 1."""
        return float(self._number / self._total)

    def __iter__(self) -> Iterator[Line]:
        try:
            for batch in self._file.iter_batches(BATCH_ROWS):
                for row in batch.to_pylist():
                    self._number += 1
                    present = {key: _json(value) for key, value in row.items() if value is not None}
                    yield Line(self._number, orjson.dumps(present, default=str))
        except self._errors as error:
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> CatalogError:
        return CatalogError(
            f"expected {self._name} to be a whole Parquet file, got: "
            f"{(str(error) or 'none').splitlines()[0]}; the first {self._number} rows are indexed"
        )


def _json(value: Any) -> Any:
    if isinstance(value, bytes):
        return "data:;base64," + base64.b64encode(value).decode()
    if isinstance(value, dict):
        # Data sets often store images as a struct of bytes and the name of a file that does not exist.
        return _json(value["bytes"]) if isinstance(value.get("bytes"), bytes) else value
    if isinstance(value, list):
        return [_json(each) for each in value]
    return value
