"""Tell the format of a catalog by its first bytes, whatever the file's name."""

from __future__ import annotations

import io
import re
from itertools import islice
from pathlib import Path

import orjson

from mmsearch.errors import CatalogError
from mmsearch.products.formats import delimited
from mmsearch.products.formats.documents import json_place
from mmsearch.products.formats.documents.json_scan import BrokenError, Scanner

WINDOW = 1 << 20
SAMPLE = 64 << 10
"""bytes of a table by which its separator is chosen"""
_LINES = 20
FEWEST = 3
"""lines from which a fault that all have is one of the file"""
_FOREIGN = (
    (b"\xd0\xcf\x11\xe0", "an old Excel file or one with a password", "save it as xlsx or CSV"),
    (b"%PDF-", "a PDF", "export the products as CSV or JSON"),
    (b"SQLite format 3\0", "an SQLite database", "export the table as CSV"),
    (b"Obj\x01", "an Avro file", "convert it to Parquet or JSON Lines"),
    (b"ORC", "an ORC file", "convert it to Parquet"),
    (b"ARROW1", "an Arrow file", "convert it to Parquet"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
    (b"LZIP", "an lzip file", "unpack it first"),
    (b"\x04\x22\x4d\x18", "an LZ4 file", "unpack it first"),
    (b"\x1f\x9d", "a file of compress", "unpack it first"),
    (b"\x1f\xa0", "a file of compress", "unpack it first"),
    (b"{\\rtf", "a document in RTF", "export the products as CSV or JSON"),
    (b"\x89PNG", "a picture", "name the catalog"),
    (b"\xff\xd8\xff", "a picture", "name the catalog"),
    (b"GIF8", "a picture", "name the catalog"),
)
_JSON_LIST = re.compile(rb'\[\s*(?:[\[{"\]\d-]|true|false|null)')
_HTML = re.compile(
    rb"(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*(?:<!doctype html|<html[\s>]|<head[\s>]|<body[\s>])", re.I | re.S
)
_SEP = re.compile(rb'"?sep=.', re.IGNORECASE)
_CONTROLS = bytes({*range(32)} - {*b"\t\n\r\f\x1a\x1b"})


def require_readable(begins: bytes, name: str) -> None:
    """Raise CatalogError for bytes that are known to be something else than a catalog."""
    for magic, what, repair in _FOREIGN:
        if begins.startswith(magic) and (len(magic) > 3 or not begins[:64].isascii()):
            raise CatalogError(f"expected a catalog in {name}, got {what}; {repair}")
    if begins[257:262] == b"ustar":
        raise CatalogError(f"expected a catalog in {name}, got a tar archive; unpack it first")


def detected(window: bytes, name: str, *, complete: bool) -> str:
    """Return the format of a text in UTF-8. `window` is its beginning, or with `complete` all of it.

    Raise CatalogError if it is none that a catalog has.
    """
    text = window.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"<"):
        if _HTML.match(text[:4096]):
            raise CatalogError(
                f"expected a catalog in {name}, got an HTML page, as of a login, an error or an "
                "old export; save it as xlsx, CSV or JSON"
            )
        return "xml"
    if _JSON_LIST.match(text):
        return "json"
    if text.startswith(b"{"):
        return _objects(text, complete)
    return _table(text, name, complete=complete)


def _objects(text: bytes, complete: bool) -> str:
    """Objects: one a line, or a document."""
    line, _, rest = text.partition(b"\n")
    after = rest.lstrip()
    if not after and not complete:
        return "json" if json_place.place(text, several=True)[0] else "jsonl"
    if _object(line):
        if json_place.place(line, several=bool(after))[0]:
            return "json"
        return "json" if not after and json_place.looks_like_nothing(line) else "jsonl"
    if _several(line):
        return "json"
    _require_some_object(text, complete)
    line = line.rstrip()
    if line.endswith(b"[") or after.startswith((b'"', b"}", b"]", b",")):
        return "json"
    following = after.partition(b"\n")[0]
    return "json" if line.endswith((b"{", b",", b":")) and not _object(following) else "jsonl"


def _table(text: bytes, name: str, *, complete: bool) -> str:
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    tabs = any(suffix in (".tsv", ".tab") for suffix in suffixes[-2:])
    lines = [line for line in islice(text.split(b"\n", 200), 200) if line.strip()][:_LINES]
    if any(line.lstrip().startswith(b"{") and _object(line) for line in lines):
        return "jsonl"
    if not text.strip():
        return "csv" if any(suffix in (".csv", ".tsv") for suffix in suffixes[-2:]) else "jsonl"
    if len(text[:4096].translate(None, _CONTROLS)) < 0.7 * len(text[:4096]):
        raise CatalogError(
            f"expected a catalog in {name}, got bytes that are no text; export the products as CSV or JSON"
        )
    if tabs:
        return "tsv"
    sample = sample_of(text)
    fits = {
        each: delimited.fit(sample.decode("utf-8", "replace"), each) for each in delimited.SEPARATORS["csv"]
    }
    share, columns = max(fits.values())
    if _SEP.match(text) or (columns > 1 and share > 0):
        return "tsv" if max(fits, key=fits.__getitem__) == "\t" and share > 0.5 else "csv"
    if not complete and b"\n" not in text and suffixes[-1:] in ([".jsonl"], [".ndjson"], [".json"]):
        return "jsonl"  # one line, which is too long
    if columns < 2 and any(suffix in (".csv", ".tsv") for suffix in suffixes[-2:]):
        return "csv"  # of one column
    raise CatalogError(
        f"expected JSON, XML or a table with one header for all rows in {name}, got "
        f"{ascii(lines[0][:40])[1:]} on its first line; name the format by --format if it is one"
    )


def sample_of(window: bytes) -> bytes:
    """Return the first whole lines of a table."""
    sample = window[:SAMPLE]
    return sample if len(window) <= SAMPLE else sample[: sample.rfind(b"\n") + 1] or sample


def _require_some_object(text: bytes, complete: bool) -> None:
    """Refuse what looks like JSON Lines and is none, before every line is rejected."""
    lines = [line for line in islice(text.split(b"\n", 200), 200) if line.strip()]
    if not complete:
        lines.pop()
    begun = [line for line in lines if line.lstrip().startswith(b"{") and line.rstrip(b" \r,").endswith(b"}")]
    if len(begun) == len(lines) >= FEWEST and not any(map(_object, lines)):
        raise CatalogError(
            f"expected one JSON object per line, got lines that are none, such as {ascii(lines[0][:60])[1:]}"
        )


def _several(line: bytes) -> bool:
    """Return whether a line has several objects."""
    scanner = Scanner(io.BytesIO(line))
    try:
        first, _ = scanner.value()
        return _object(first) and scanner.sign() in ("{", ",")
    except BrokenError:
        return False


def _object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False
