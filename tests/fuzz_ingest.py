"""Fuzzing what reads other people's bytes: `python tests/fuzz_ingest.py reader|picture -max_total_time=60`.

Atheris ends with an error when a target raises anything but what it promises.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mmsearch.ingest"]):
    from mmsearch.ingest.catalogue import Catalogue
    from mmsearch.ingest.errors import CatalogueError, PictureError, RecordError
    from mmsearch.ingest.images import checked
    from mmsearch.ingest.item import Item
    from mmsearch.ingest.probe import probe
    from mmsearch.ingest.records import parse

FOLDER = Path(tempfile.mkdtemp())


def reader(data: bytes) -> None:
    """The whole file as a catalogue, in a format that its first byte chooses, line by line to a product."""
    form = (None, "jsonl", "csv", "tsv")[data[0] % 4] if data else None
    path = FOLDER / "catalogue"
    path.write_bytes(data[1:])
    catalogue = Catalogue(str(path), form)
    try:
        for line in catalogue:
            try:
                Item.of(line, parse(line, {"title": "info.name"}), 1_000).document()
            except RecordError as error:
                if not error.message.startswith("expected "):
                    raise
    except CatalogueError:
        return
    finally:
        catalogue.close()


def picture(data: bytes) -> None:
    """The header alone, then the whole picture."""
    try:
        header = probe(data)
    except PictureError:
        return
    if header.width * header.height > 1_000_000:
        return  # only to be quick: what is large is refused or shrunk elsewhere
    try:
        if not checked(data):
            raise RuntimeError("expected bytes for the encoder, got none")
    except PictureError:
        return


def main() -> None:
    target = {"reader": reader, "picture": picture}[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
