"""Fuzzing what reads others' bytes: `python qa/fuzz/readers.py reader|picture|reply -max_total_time=60`.

Atheris ends with an error when a target raises anything but what it promises.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import atheris
from google.protobuf.message import DecodeError
from tritonclient.grpc import service_pb2 as wire

with atheris.instrument_imports(include=["mmsearch"]):
    from mmsearch.clients.triton import Encoder, Served
    from mmsearch.errors import CatalogError, EncoderError, PictureError, RecordError
    from mmsearch.images.decode import checked, goes_as_it_is
    from mmsearch.images.header import read_header
    from mmsearch.ingest.item import Item
    from mmsearch.products.catalog import Catalog
    from mmsearch.products.record import parse

FOLDER = Path(tempfile.mkdtemp())


def reader(data: bytes) -> None:
    """The whole file as a catalog, in a format that its first byte chooses, line by line to a product."""
    form = (None, "jsonl", "csv", "tsv")[data[0] % 4] if data else None
    path = FOLDER / "catalog"
    path.write_bytes(data[1:])
    catalog = Catalog(str(path), form)
    try:
        for line in catalog:
            try:
                Item.of(line, parse(line, {"title": "info.name"}), 1_000).document()
            except RecordError as error:
                if not error.message.startswith("expected "):
                    raise
    except CatalogError:
        return
    finally:
        catalog.close()


def picture(data: bytes) -> None:
    """The header alone, then the whole picture."""
    try:
        header = read_header(data)
    except PictureError:
        return
    if header.width * header.height > 1_000_000:
        return  # only to be quick: what is large is refused or shrunk elsewhere
    try:
        if goes_as_it_is(data) not in (True, False) or not checked(data):
            raise RuntimeError("expected bytes for the encoder, got none")
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
    target = {"reader": reader, "picture": picture, "reply": reply}[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
