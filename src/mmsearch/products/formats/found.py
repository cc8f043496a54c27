"""What a catalog file turned out to be."""

from __future__ import annotations

from dataclasses import dataclass

NAMES = {
    "jsonl": "JSON Lines",
    "json": "JSON",
    "xml": "XML",
    "csv": "CSV",
    "tsv": "TSV",
    "xlsx": "an Excel workbook",
    "parquet": "Parquet",
}
FORMATS = tuple(NAMES)
_SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}


@dataclass(slots=True)
class Found:
    """Format, encoding and compression of a catalog, as far as it has been read.

    `columns` is the header of a table, and empty for formats whose records name their own fields. `place` is
    where the records are: the keys or elements that lead to them, or a sheet. `beside` names what is in the
    file and is not read.
    """

    format: str = "jsonl"
    encoding: str = "utf-8"
    compression: tuple[str, ...] = ()
    separator: str = ""
    columns: tuple[str, ...] = ()
    place: str = ""
    beside: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        """Return whether the file is JSON Lines in UTF-8, the default, which need not be reported."""
        return self.format == "jsonl" and self.encoding in ("utf-8", "")

    def sentence(self) -> str:
        """Return what was found as one line of text, for example `CSV with semicolons in cp1252, gzip`."""
        parts = [NAMES[self.format]]
        if self.separator and self.format == "csv" and self.separator != ",":
            parts.append(f"separated by {_SEPARATORS.get(self.separator, repr(self.separator))}")
        if self.place:
            parts.append(f"with the records in {self.place}")
        if self.encoding not in ("utf-8", ""):
            parts.append(f"in {self.encoding}")
        text = " ".join(parts) + "".join(f", {each}" for each in self.compression)
        return f"{text}; not read: {', '.join(self.beside)}" if self.beside else text
