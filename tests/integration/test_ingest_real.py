"""`mmsearch ingest` with the real OpenSearch and the real Triton."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image, ImageDraw

from mmsearch.cli.main import cli
from mmsearch.clients.opensearch import ask, connect

if TYPE_CHECKING:
    from ..conftest import StackUnderTest

pytestmark = pytest.mark.integration
INDEX = "ingest-tests"


@dataclass
class Shop:
    """A folder with a catalog, and the command line over it."""

    folder: Path
    environment: dict[str, str]
    client: Any
    lines: list[str] = field(default_factory=list)

    def add(self, **record: Any) -> None:
        self.lines.append(json.dumps(record))

    def picture(self, name: str, colour: str, kind: str = "PNG") -> str:
        image = Image.new("RGB", (96, 96), "white")
        ImageDraw.Draw(image).ellipse((16, 16, 80, 80), fill=colour)
        image.save(self.folder / name, kind)
        return name

    def run(self, *arguments: str, **environment: str) -> Result:
        (self.folder / "catalog.jsonl").write_text("\n".join(self.lines) + "\n", encoding="utf-8")
        return CliRunner().invoke(cli, list(arguments), env={**self.environment, **environment})

    def ingest(self, *arguments: str, **environment: str) -> Result:
        return self.run("ingest", str(self.folder / "catalog.jsonl"), "--json", *arguments, **environment)

    def indexed(self) -> dict[str, Any]:
        found = ask(self.client, "POST", f"/{INDEX}/_search", body={"size": 1000, "_source": True})
        return {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}

    def rejected(self) -> dict[int, dict[str, Any]]:
        raw = (self.folder / "catalog.rejects.jsonl").read_text(encoding="utf-8")
        return {entry["line"]: entry for entry in map(json.loads, raw.splitlines())}


@pytest.fixture
def shop(tmp_path: Path, stack: StackUnderTest) -> Iterator[Shop]:
    client = connect(stack.opensearch.url)
    yield Shop(tmp_path, {**stack.environment, "MMSEARCH_INDEX": INDEX}, client)
    ask(client, "DELETE", f"/{INDEX}-*")
    client.close()


def test_the_good_lines_are_in_and_each_bad_one_is_told(shop: Shop) -> None:
    (shop.folder / "text.png").write_text("this is no picture", encoding="utf-8")
    (shop.folder / "big.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(30_000_000))
    (shop.folder.parent / "outside.png").write_bytes(b"")
    shop.add(id="good", title="a red ball", image=shop.picture("red.png", "red"))
    shop.lines.append('{"id": "broken", "title": "half')
    shop.add(title="no id")
    shop.add(id="missing", title="x", image="nowhere.png")
    shop.add(id="text", title="x", image="text.png")
    shop.add(id="big", title="x", image="big.png")
    shop.add(id="leaves", title="x", image="../outside.png")
    shop.add(id="wordless", image=shop.picture("blue.jpg", "blue", "JPEG"))
    result = shop.ingest()
    assert result.exit_code == 3, result.output
    summary = json.loads(result.stdout.splitlines()[-1])
    assert {key: summary[key] for key in ("read", "encoded", "unchanged", "indexed", "rejected")} == {
        "read": 8,
        "encoded": 2,
        "unchanged": 0,
        "indexed": 2,
        "rejected": 6,
    }
    assert set(summary) == {
        "read",
        "encoded",
        "unchanged",
        "indexed",
        "rejected",
        "seconds",
        "docs_per_second",
        "encoder_calls",
        "bottleneck",
        "exit_code",
        "reasons",
    }
    assert summary["reasons"] == {
        "rejected": dict.fromkeys(
            ("not_json", "missing_id", "not_found", "not_a_picture", "too_large", "outside_root"), 1
        )
    }
    assert {
        line: (entry["id"], entry["stage"], entry["reason"]) for line, entry in shop.rejected().items()
    } == {
        2: (None, "read", "not_json"),
        3: (None, "read", "missing_id"),
        4: ("missing", "image", "not_found"),
        5: ("text", "image", "not_a_picture"),
        6: ("big", "image", "too_large"),
        7: ("leaves", "image", "outside_root"),
    }
    found = ask(
        shop.client, "POST", f"/{INDEX}/_mget", params={"_source": "true"}, body={"ids": ["good", "wordless"]}
    )["docs"]
    halves = {
        document["_id"]: np.float32(document["_source"]["embedding"]).reshape(2, -1) for document in found
    }
    assert np.linalg.norm(halves["good"]) == pytest.approx(1, abs=1e-3)
    # The half of the text, which is missing, is the other half turned by 60 degrees.
    text, image = halves["wordless"]
    assert np.linalg.norm(text) == pytest.approx(0.5**0.5, abs=1e-3)
    assert float(2 * text @ image) == pytest.approx(0.5, abs=1e-3)


def test_mended_lines_come_in_by_retry(shop: Shop) -> None:
    shop.add(id="a", title="x", image="late.png")
    shop.add(id="b", title="y", image="never.png")
    assert shop.ingest().exit_code == 3
    shop.picture("late.png", "green")
    rejects = shop.folder / "catalog.rejects.jsonl"
    result = shop.run("retry", str(rejects))
    assert result.exit_code == 3, result.output
    assert result.stdout.splitlines()[-1].startswith("1 indexed, 1 rejected")
    assert [entry["id"] for entry in shop.rejected().values()] == ["b"]
    result = shop.run("retry", str(rejects), "--on-bad-image", "text-only")
    assert result.exit_code == 0, result.output
    assert not rejects.exists()
    assert set(shop.indexed()) == {"a", "b"}


def test_a_second_run_encodes_nothing_and_a_new_price_neither(shop: Shop) -> None:
    for number in range(20):
        shop.add(
            id=str(number), title=f"ball number {number}", price=number, image=shop.picture("p.png", "red")
        )
    assert shop.ingest().exit_code == 0
    vectors = {document["_id"]: document["_source"]["embedding"] for document in _all(shop, 20)}
    summary = json.loads(shop.ingest().stdout)
    assert (summary["unchanged"], summary["encoder_calls"], summary["indexed"]) == (20, 0, 20)
    shop.lines[3] = json.dumps(
        {"id": "3", "title": "ball number 3", "price": 99, "image": "p.png", "new": "yes"}
    )
    summary = json.loads(shop.ingest().stdout)
    assert (summary["unchanged"], summary["encoder_calls"], summary["indexed"]) == (19, 0, 20)
    after = {document["_id"]: document["_source"] for document in _all(shop, 20)}
    assert after["3"]["price"] == 99
    assert after["3"]["attributes"] == {"new": "yes"}
    assert {identifier: source["embedding"] for identifier, source in after.items()} == vectors


@pytest.mark.parametrize("missing", ["MMSEARCH_TRITON", "MMSEARCH_OPENSEARCH"])
def test_a_server_that_is_not_there_is_one_sentence_and_exit_1(shop: Shop, missing: str) -> None:
    shop.add(id="a", title="x")
    assert shop.ingest().exit_code == 0
    address = "127.0.0.1:9" if missing == "MMSEARCH_TRITON" else "http://127.0.0.1:9"
    result = shop.ingest(**{missing: address})
    assert result.exit_code == 1
    assert result.stderr.startswith("mmsearch: expected ")
    assert len(result.stderr.splitlines()) == 1
    assert set(shop.indexed()) == {"a"}


def test_a_fingerprint_that_is_not_the_served_one_is_refused(shop: Shop) -> None:
    body = {
        "aliases": {INDEX: {}},
        "settings": {"index.knn": True},
        "mappings": {
            "_meta": {"mmsearch": {"version": 1, "fields": {"embedding": {"fingerprint": "0" * 64}}}}
        },
    }
    ask(shop.client, "PUT", f"/{INDEX}-000001", body=body)
    shop.add(id="a", title="x")
    result = shop.ingest()
    assert result.exit_code == 1
    assert "mmsearch reindex" in result.stderr


def test_words_find_the_product(shop: Shop) -> None:
    shop.add(id="a", title="wooden chair")
    shop.add(id="b", title="steel pan")
    shop.ingest()
    result = shop.run("search", "chair", "--mode", "lexical")
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    assert line.split()[0] == "1"
    assert line.endswith("wooden chair")


def _all(shop: Shop, count: int) -> list[dict[str, Any]]:
    ids = [str(number) for number in range(count)]
    documents: list[dict[str, Any]] = ask(
        shop.client, "POST", f"/{INDEX}/_mget", params={"_source": "true"}, body={"ids": ids}
    )["docs"]
    return documents
