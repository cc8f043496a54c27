"""A platform's feed in the index: its rejects are fixed and tried again, and its preset is remembered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mmsearch.cli.main import cli
from mmsearch.ingest.recipe import Recipe

from ..fakes.fake_opensearch import FakeOpenSearch
from ..fakes.fake_triton import FakeTriton

HEADER = "Handle,Title,Type,Option1 Name,Option1 Value,Variant Price,Image Src"
Run = Callable[..., Result]


@pytest.fixture
def node() -> Iterator[FakeOpenSearch]:
    with FakeOpenSearch() as node:
        yield node


@pytest.fixture
def run(node: FakeOpenSearch) -> Iterator[Run]:
    with FakeTriton() as triton:

        def ran(*arguments: str) -> Result:
            servers = ("--opensearch", node.url, "--triton", triton.url, "--processes", "0")
            return CliRunner().invoke(cli, [*arguments, *servers])

        yield ran


def feed(folder: Path, *rows: str) -> str:
    (folder / "export.csv").write_text("\n".join((HEADER, *rows)) + "\n")
    return str(folder / "export.csv")


def test_a_reject_is_mended_as_a_record_of_ours(run: Run, node: FakeOpenSearch, tmp_path: Path) -> None:
    catalog = feed(tmp_path, "mug,Mug,Kitchen,Size,S,on request,", "bowl,Bowl,Kitchen,,,$9,", "mug,,,,L,5,")
    done = run("ingest", catalog, "--map", "brand=Type")
    assert done.exit_code == 3, done.output
    (line,) = (tmp_path / "export.csv.rejects.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert (entry["line"], entry["id"], entry["reason"]) == (2, "mug", "wrong_type")
    assert entry["record"]["price"] == ["on request", "5"]
    entry["record"]["price"] = "5"
    (tmp_path / "export.csv.rejects.jsonl").write_text(json.dumps(entry))
    assert run("retry", str(tmp_path / "export.csv.rejects.jsonl")).exit_code == 0
    mug, bowl = (node.sources()[name] for name in ("mug", "bowl"))
    assert (mug["title"], mug["price"], mug["brand"], mug["group"]) == ("Mug", 5, "Kitchen", "mug")
    assert (bowl["price"], bowl["currency"], bowl["category_levels"]) == (9, "USD", ["Kitchen"])
    assert run("ingest", catalog, "--map", "brand=Type", "--json").exit_code == 3
    assert node.sources()["mug"] == mug


def test_a_second_run_changes_nothing_and_a_new_variant_its_product_alone(run: Run, tmp_path: Path) -> None:
    rows = ["mug,Mug,Kitchen,Size,S,5,", "bowl,Bowl,Kitchen,,,$9,"]
    counts = []
    for more in ((), (), ("mug,,,,L,4,",)):
        done = run("ingest", feed(tmp_path, *rows, *more), "--json")
        counts.append([json.loads(done.stdout)[key] for key in ("encoded", "unchanged", "indexed")])
    assert counts == [[2, 0, 2], [0, 2, 2], [0, 1, 2]]


def test_the_preset_is_remembered(run: Run, node: FakeOpenSearch, tmp_path: Path) -> None:
    assert run("ingest", feed(tmp_path, "mug,Mug,Kitchen,,,5,"), "--preset", "shopify").exit_code == 0
    (index,) = node.indices.values()
    assert Recipe.read(index["mappings"]["_meta"]["mmsearch"]).preset == "shopify"
    assert Recipe.read({"ingest": {"catalog": "old.csv"}}).preset == "none"
    assert Recipe.read({}).preset is None


def test_an_unknown_preset_ends_the_run(run: Run, node: FakeOpenSearch, tmp_path: Path) -> None:
    done = run("ingest", feed(tmp_path, "mug,Mug,Kitchen,,,5,"), "--preset", "shopware")
    assert done.exit_code == 1
    assert "expected --preset to be a file or one of akeneo, " in done.stderr
    assert node.indices == {}
