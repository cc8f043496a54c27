"""Fuzzing what reads others' bytes: `python qa/fuzz/readers.py TARGET -max_total_time=60`.

Atheris ends with an error when a target raises anything but what it promises.
"""

from __future__ import annotations

import io
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import atheris
from google.protobuf.message import DecodeError
from tritonclient.grpc import service_pb2 as wire

with atheris.instrument_imports(include=["mmsearch", "openpyxl"]):
    import openpyxl

    from mmsearch.clients.triton import Encoder, Served
    from mmsearch.errors import CatalogError, EncoderError, PictureError, RecordError
    from mmsearch.images.conversion import as_taken
    from mmsearch.images.decode import pixels
    from mmsearch.images.header import read_header
    from mmsearch.ingest.item import Item
    from mmsearch.products.catalog import Catalog
    from mmsearch.products.feeds.feed import Feed
    from mmsearch.products.feeds.preset import all_presets
    from mmsearch.products.record import parse
    from mmsearch.serving.pictures.pixels import Frame

FOLDER = Path(tempfile.mkdtemp())
FRAME = Frame(32)
MEMBERS = ("xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/workbook.xml", "xl/styles.xml")


def reader(data: bytes) -> None:
    """The whole file as a catalog, in a format that its first byte chooses, line by line to a product."""
    catalog_of(data[1:], (None, "jsonl", "csv", "tsv")[data[0] % 4] if data else None)


def catalog_of(data: bytes, form: str | None = None) -> None:
    """A catalog, whose format its content tells if none is given: refused, or read record by record."""
    path = FOLDER / "catalog"
    path.write_bytes(data)
    try:
        catalog = Catalog(str(path), form)
    except CatalogError as error:
        require_sentence(str(error))
        return
    try:
        if not catalog.found.sentence():
            raise RuntimeError("expected to be told what the catalog is, got nothing")
        for line in catalog:
            try:
                Item.of(line, parse(line, {"title": "info.name"}), 1_000).document()
            except RecordError as error:
                require_sentence(error.message)
    except CatalogError as error:
        require_sentence(str(error))
    finally:
        catalog.close()


def feed(data: bytes) -> None:
    """JSON Lines as a platform's feed, as the first byte chooses: refused, or read product by product."""
    names = sorted(all_presets())
    path = FOLDER / "feed"
    path.write_bytes(data[1:])
    preset = names[data[0] % len(names)] if data else None
    try:
        source = Feed(Catalog(str(path), "jsonl"), {}, preset, keep=True)
    except CatalogError as error:
        require_sentence(str(error))
        return
    try:
        for line in source:
            try:
                Item.of(line, parse(line), 1_000).document()
            except RecordError as error:
                require_sentence(error.message)
    except CatalogError as error:
        require_sentence(str(error))
    finally:
        source.close()


def require_sentence(message: str) -> None:
    if not message.startswith("expected ") or "\n" in message:
        raise RuntimeError(f"expected one sentence, got {message!r}")


def workbook(data: bytes) -> None:
    """A workbook of which one member, as the first byte chooses, has other bytes."""
    if not data:
        return
    spoilt = MEMBERS[data[0] % len(MEMBERS)]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in WHOLE.items():
            archive.writestr(name, data[1:] if name == spoilt else content)
    catalog_of(out.getvalue())


def whole_workbook() -> dict[str, bytes]:
    """The members of a small workbook."""
    book = openpyxl.Workbook()
    book.active.append(["id", "title", "price"])
    book.active.append([7, "Oak chair", 19.5])
    out = io.BytesIO()
    book.save(out)
    with zipfile.ZipFile(out) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    # Excel keeps the texts in a part of their own, which openpyxl reads and does not write.
    types = members["[Content_Types].xml"].decode()
    part = f'<Override PartName="/{MEMBERS[1]}" ContentType="{openpyxl.xml.constants.SHARED_STRINGS}"/>'
    members["[Content_Types].xml"] = types.replace("</Types>", f"{part}</Types>").encode()
    namespace = openpyxl.xml.constants.SHEET_MAIN_NS
    members[MEMBERS[1]] = (
        f'<sst xmlns="{namespace}"><si><t>id</t></si><si><t>title</t></si><si><t>x</t></si></sst>'.encode()
    )
    return members


WHOLE = whole_workbook()


def picture(data: bytes) -> None:
    """The header alone, then the whole picture."""
    try:
        header = read_header(data)
    except PictureError:
        return
    if header.width * header.height > 1_000_000:
        return  # only to be quick: what is large is refused or shrunk elsewhere
    try:
        if pixels(data, FRAME).shape != (FRAME.size, FRAME.size, 3) or not as_taken(data):
            raise RuntimeError("expected pixels for the encoder, got none")
    except PictureError:
        return


class Replied(Encoder):
    """An encoder whose server answers with given bytes."""

    data = b""

    def _call(self, method: str, request: Any) -> Any:
        kinds = {
            "ModelConfig": wire.ModelConfigResponse,
            "ModelMetadata": wire.ModelMetadataResponse,
            "ModelInfer": wire.ModelInferResponse,
        }
        return kinds[method].FromString(self.data)


ENCODER = Replied("127.0.0.1:1")
SERVED = Served("item_encoder", "query_encoder", "1", "f" * 8, "", {"EMBEDDING": 3}, 64, 0, 0)


def reply(data: bytes) -> None:
    """Triton's answer to two rows, or to the question what is served, as the first byte chooses."""
    ENCODER.data = data[1:]
    try:
        if data[:1] == b"\x01":
            ENCODER.describe()
            return
        (vectors,) = ENCODER.encode([(b"a", b""), (b"b", b"")], SERVED, ["EMBEDDING"])
    except (DecodeError, EncoderError):
        return
    if vectors.shape != (2, 3):
        raise RuntimeError(f"expected vectors of shape (2, 3), got {vectors.shape}")


def main() -> None:
    targets = {"reader": reader, "picture": picture, "reply": reply, "workbook": workbook, "feed": feed}
    # These read any format; what they begin with is theirs.
    targets |= dict.fromkeys(("document", "xml", "table", "packed"), catalog_of)
    target = targets[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
