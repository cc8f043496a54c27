"""Excel workbooks (xlsx) as catalogs: each row of the first sheet becomes a JSON object."""

from __future__ import annotations

import datetime
import itertools
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pyexpat import ExpatError, ParserCreate
from typing import Any, BinaryIO

import orjson

from mmsearch.errors import CatalogError
from mmsearch.products.formats import compressed
from mmsearch.products.formats.found import Found
from mmsearch.products.formats.header import ABOVE, Header, header_at
from mmsearch.products.record import Line

MAX_STRINGS = 128 << 20
"""bytes of the texts of all cells, which are loaded as a whole"""
MAX_SHEET = 2 << 30
MAX_OTHER = 32 << 20
MAX_ROW = 2 << 20
MAX_ROWS = 1 << 20  # Excel's own limit
_CHUNK = 1 << 16
_ROW = re.compile(rb"<(?:\w+:)?row[\s/>]")
_MIDNIGHT = datetime.time()


class Workbook:
    """The rows of the first visible sheet with any, numbered as Excel does. The first row that is not empty
    is the header. Raise CatalogError for a file that is damaged or exceeds a limit.
    """

    def __init__(self, file: BinaryIO, name: str, found: Found, keep: ExitStack) -> None:
        try:
            import openpyxl
        except ModuleNotFoundError:
            raise CatalogError(
                f"expected openpyxl to read {name}, got none; install it by: pip install 'mmsearch[formats]'"
            ) from None
        warnings.filterwarnings("ignore", category=UserWarning, module=r"openpyxl\.")
        self._name = name
        self._number = 0
        self._total = 0
        with compressed.opened(file, name) as archive:
            _require_safe(archive, name)
        file.seek(0)
        try:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            keep.callback(book.close)
            sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
            for sheet in sheets:
                self._total = sheet.max_row or 0
                sheet.reset_dimensions()
                rows = filter(_filled, enumerate(sheet.iter_rows(max_row=MAX_ROWS, values_only=True), 1))
                first = list(itertools.islice(rows, ABOVE))
                if not first:
                    continue
                above = header_at(row for _, row in first)
                self._rows = itertools.chain(first[above + 1 :], rows)
                self._number, header = first[above]
                self._header = Header(header, name)
                found.columns = self._header.columns
                others = [f"sheet {each.title!r}" for each in sheets if each is not sheet]
                found.place = f"sheet {sheet.title!r}" if others else ""
                found.beside = (*others, *([f"{above} rows above the header"] if above else []))
                return
        except CatalogError:
            raise
        except Exception as error:
            raise self._broken(error) from None
        raise CatalogError(f"expected a sheet with a header in {name}, got none that is visible and has rows")

    def share(self) -> float:
        """Return the share of the rows read, 0 to 1; 0 if the sheet does not say how many it has."""
        return min(1.0, self._number / self._total) if self._total > 1 else 0.0

    def __iter__(self) -> Iterator[Line]:
        try:
            for number, row in self._rows:
                self._number = number
                yield self._line(row)
        except Exception as error:
            raise self._broken(error) from None

    def _line(self, row: tuple[Any, ...]) -> Line:
        columns = self._header.columns
        cells = [_json(cell) for cell in row]
        cells += [None] * (len(columns) - len(cells))
        record = self._header.record(cells)
        if record is not None:
            return Line(self._number, orjson.dumps(record))
        what = f"expected {len(columns)} columns on line {self._number}, got {len(cells)}"
        return Line(self._number, orjson.dumps(cells), ("wrong_columns", what))

    def _broken(self, error: Exception) -> CatalogError:
        # A damaged workbook makes openpyxl raise almost any error.
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        return CatalogError(
            f"expected {self._name} to be a whole Excel workbook, got: {why}; save it again as xlsx or CSV"
        )


def _filled(row: tuple[int, tuple[Any, ...]]) -> bool:
    return any(cell not in (None, "") for cell in row[1])


def _json(cell: Any) -> Any:
    """Return a cell as JSON has it. A number without a fraction is an integer: Excel knows no others."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e16:
        return int(cell)
    if isinstance(cell, datetime.datetime) and cell.time() == _MIDNIGHT:
        return cell.date().isoformat()
    if isinstance(cell, datetime.date | datetime.time):
        return cell.isoformat()
    if cell is None or isinstance(cell, str | int | float | bool):
        return cell
    return str(cell)


def _require_safe(archive: zipfile.ZipFile, name: str) -> None:
    """Raise CatalogError for a workbook that would take too much memory or declares entities."""
    kind = compressed.document(archive)
    if kind != "xlsx":
        raise CatalogError(
            f"expected xlsx, CSV or JSON in {name}, got {kind or 'another zip'}; save it as one of these"
        )
    try:
        for member in archive.infolist():
            compressed.require_within(member, name)
            path = member.filename.lower()
            sheet = "/worksheets/" in path and path.endswith(".xml")
            limit = MAX_SHEET if sheet else MAX_STRINGS if "sharedstrings" in path else MAX_OTHER
            if path.endswith((".xml", ".rels", ".vml")):
                if member.file_size > limit:
                    raise CatalogError(
                        f"expected at most {limit >> 20} MiB in {member.filename} of {name}, got "
                        f"{member.file_size >> 20} MiB; save it as CSV"
                    )
                _require_no_entities(archive, member, name)
                if sheet:
                    _require_short_rows(archive, member, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        raise CatalogError(
            f"expected {name} to be a whole Excel workbook, got: {error}; save it again as xlsx or CSV"
        ) from None


class _Begun(Exception):  # noqa: N818 - the root element, where declarations end
    pass


def _require_no_entities(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> None:
    def doctype(*_: Any) -> None:
        raise CatalogError(
            f"expected XML without a document type in {member.filename} of {name}, got one, which can "
            "declare entities that expand without limit; save it again as xlsx or CSV"
        )

    def begun(*_: Any) -> None:
        raise _Begun

    parser = ParserCreate()
    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = begun
    try:
        with archive.open(member) as stream:
            while data := stream.read(_CHUNK):
                parser.Parse(data, False)
    except _Begun:
        return
    except ExpatError:
        return  # the workbook's reader says what is wrong, if it reads this part at all


def _require_short_rows(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> None:
    """A row is loaded as a whole."""
    since = 0
    with archive.open(member) as stream:
        while data := stream.read(_CHUNK):
            since = 0 if _ROW.search(data) else since + len(data)
            if since > MAX_ROW:
                raise CatalogError(
                    f"expected rows of at most {MAX_ROW >> 20} MiB in {name}, got a longer one; save it as "
                    "CSV"
                )
