"""A catalog in a folder and the run over it, for the tests that ingest between fakes."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from mmsearch.clients.opensearch import connect
from mmsearch.clients.triton import Encoder
from mmsearch.images.decode import pixels
from mmsearch.ingest.job import Job
from mmsearch.ingest.reporting.stats import Report
from mmsearch.ingest.runner import run
from mmsearch.serving.pictures.pixels import packed

from .fake_opensearch import FakeOpenSearch
from .fake_triton import FRAME, FakeTriton


def picture(
    colour: str | tuple[int, int, int] = "red", size: tuple[int, int] = (20, 10), kind: str = "PNG"
) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return out.getvalue()


def sent(data: bytes) -> bytes:
    """An image as ingest sends it to the encoder."""
    return packed(pixels(data, FRAME), FRAME)


class Catalog:
    """A folder with a catalog, and the run over it."""

    def __init__(self, folder: Path, triton: FakeTriton, node: FakeOpenSearch) -> None:
        self.folder = folder
        self.triton = triton
        self.node = node
        self.path = folder / "catalog.jsonl"
        self.job = Job(
            str(self.path),
            folder,
            folder / "rejects.jsonl",
            processes=0,
            patience=5.0,
            resume="mmsearch ingest x",
            journal=folder / "journal",
        )
        self.messages: list[str] = []

    def write(self, *lines: dict[str, Any] | str | bytes) -> None:
        raw = [
            line
            if isinstance(line, bytes)
            else (line if isinstance(line, str) else json.dumps(line)).encode()
            for line in lines
        ]
        self.path.write_bytes(b"\n".join(raw) + b"\n")

    def ingest(self, **changes: Any) -> Report:
        encoder, client = Encoder(self.triton.url, timeout=10), connect(self.node.url)
        try:
            return run(replace(self.job, **changes), encoder, client, say=self.messages.append)
        finally:
            encoder.close()
            client.close()

    def rejected_beside(self) -> list[dict[str, Any]]:
        """The rejects of the command line, where they are by default, in the order of the lines."""
        raw = (self.folder / "catalog.rejects.jsonl").read_bytes()
        return sorted(map(json.loads, raw.splitlines()), key=lambda entry: int(entry["line"]))

    def rejected(self) -> list[dict[str, Any]]:
        path = self.job.rejects
        return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
