"""elasticdump: a shop is written to files, and into another index, which then answers as the first."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from . import installed
from .shop import INDEX, Shop, hybrid, neural

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.foreign]
RESTORED = "foreign-restored"
KINDS = ("settings", "mapping", "data")


def dump(node: Path, source: str, target: str, *options: str, code: int = 0) -> str:
    """What elasticdump said, which ended with this code."""
    program = node / "node_modules" / ".bin" / "elasticdump"
    done = subprocess.run(
        [program, f"--input={source}", f"--output={target}", *options],
        env=installed.local(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, done
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def files(shop: Shop, node: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    shop.settle()
    folder = tmp_path_factory.mktemp("dump")
    for kind in KINDS:
        said = dump(node, f"{shop.url}/{INDEX}", str(folder / f"{kind}.json"), f"--type={kind}")
        assert "dump complete" in said
    return {kind: folder / f"{kind}.json" for kind in KINDS}


@pytest.fixture(scope="module")
def restored(shop: Shop, node: Path, files: dict[str, Path]) -> str:
    for kind, file in files.items():
        assert "dump complete" in dump(node, str(file), f"{shop.url}/{RESTORED}", f"--type={kind}")
    shop.settle(RESTORED)
    return RESTORED


def test_every_vector_is_in_the_files(shop: Shop, files: dict[str, Path]) -> None:
    lines = [json.loads(line) for line in files["data"].read_text(encoding="utf-8").splitlines()]
    assert {line["_id"]: line["_source"]["embedding"] for line in lines} == shop.vectors()


def test_the_restored_index_has_every_vector_and_the_encoders_name(shop: Shop, restored: str) -> None:
    assert len(shop.vectors()) == 820
    assert shop.vectors(restored) == shop.vectors()
    (one,) = shop.ask("GET", f"/{INDEX}/_mapping").values()
    (other,) = shop.ask("GET", f"/{restored}/_mapping").values()
    assert other["mappings"] == one["mappings"]
    assert shop.ask("GET", f"/{restored}/_settings/index.number_of_shards")[restored]["settings"][
        "index"
    ] == {"number_of_shards": "2"}


@pytest.mark.parametrize("query", [neural(), hybrid()], ids=["neural", "hybrid"])
def test_the_restored_index_answers_as_the_first(shop: Shop, restored: str, query: dict[str, Any]) -> None:
    found = shop.ids({"query": query, "size": 150}, restored)
    assert len(set(found)) == 150
    assert found == shop.ids({"query": query, "size": 150})
    assert "embedding" not in shop.hits({"size": 1}, restored)[0]["_source"]


def test_what_a_clause_finds_is_copied_whole(shop: Shop, node: Path) -> None:
    body = json.dumps({"query": neural(k=20)})
    said = dump(node, f"{shop.url}/{INDEX}", f"{shop.url}/foreign-some", f"--searchBody={body}")
    assert "dump complete" in said
    copied, whole = shop.vectors("foreign-some"), shop.vectors()
    # The clause's 20 are those of each shard.
    assert 20 <= len(copied) <= 40
    assert copied == {name: whole[name] for name in copied}
    assert set(shop.ids({"query": neural(k=20), "size": 20})) <= set(copied)


def test_a_hybrid_cannot_be_scrolled_and_the_tool_says_so(shop: Shop, node: Path, tmp_path: Path) -> None:
    body = json.dumps({"query": hybrid()})
    file = str(tmp_path / "none.json")
    said = dump(node, f"{shop.url}/{INDEX}", file, f"--searchBody={body}", code=1)
    assert "[hybrid] does not support scroll" in said
