"""A shop whose catalog is in an index, and the commands over it, for the tests of `mmsearch reindex`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mmsearch.cli.main import cli

from .fake_opensearch import FakeOpenSearch
from .fake_triton import FakeTriton
from .ingesting import picture


class Shop:
    """A catalog in its folder, between fakes at the wire or with another node."""

    def __init__(self, folder: Path, triton: FakeTriton, node: FakeOpenSearch | None, url: str = "") -> None:
        self.folder = folder
        self.triton = triton
        self.node = node or FakeOpenSearch()
        self.url = url or self.node.url
        self.file = folder / "catalog.jsonl"

    def write(self, *records: dict[str, Any]) -> None:
        self.file.write_text("".join(json.dumps(record) + "\n" for record in records))

    def run(self, *arguments: str, code: int | None = 0) -> Result:
        servers = ("--opensearch", self.url, "--triton", self.triton.url)
        done = CliRunner().invoke(cli, [*arguments, *servers])
        assert code is None or done.exit_code == code, done.output
        return done

    def ingest(self, *options: str, code: int = 0) -> Result:
        return self.run("ingest", str(self.file), "--processes", "0", *options, code=code)

    def refused(self, *options: str) -> str:
        """The sentence of a reindex that moves nothing; the old index and the alias are as they were."""
        before = json.dumps(self.node.documents["products-000001"], sort_keys=True)
        aliases = dict(self.node.aliases)
        done = self.run("reindex", *options, code=1)
        assert self.node.aliases == aliases
        assert json.dumps(self.node.documents["products-000001"], sort_keys=True) == before
        assert isinstance(done.exception, SystemExit)
        return done.stderr.splitlines()[-1]


@contextmanager
def ingested(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Between fakes: thirty products of which three have a picture, ingested under the shop's own names; then
    Triton serves another version."""
    monkeypatch.setenv("MMSEARCH_CACHE", str(folder / "cache"))
    with FakeTriton() as triton, FakeOpenSearch() as node:
        made = Shop(folder, triton, node)
        (folder / "pictures").mkdir()
        (folder / "pictures" / "p.png").write_bytes(picture())
        made.write(*products(30))
        made.ingest("--map", "id=sku", "--image-root", str(folder / "pictures"))
        triton.versions["2"] = "e" * 64
        yield made


def products(count: int) -> list[dict[str, Any]]:
    return [
        {"sku": str(n), "title": f"chair {n}"} | ({"image": "p.png"} if n < 3 else {}) for n in range(count)
    ]
