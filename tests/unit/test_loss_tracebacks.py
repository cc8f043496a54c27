"""Failures that are not ours are one sentence: a node that is away, a right that lacks, no torch."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mmsearch import models
from mmsearch.cli.main import COMMANDS, cli
from mmsearch.cli.pairs import ids
from mmsearch.errors import MmsearchError, TrainingError
from mmsearch.training.pairs import read_pairs

from ..fakes.fake_opensearch import AnswerError, FakeOpenSearch
from ..fakes.small_training import drawn, fresh, small


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With pairs and their catalog."""
    (tmp_path / "pairs.jsonl").write_text('{"query": "oak", "product_id": "1"}\n')
    (tmp_path / "catalog.jsonl").write_text('{"id": "1", "title": "chair"}\n{"id": "2", "title": "oak"}\n')
    return tmp_path


def pairs(folder: Path, url: str, *options: str, out: str = "hard.jsonl") -> Result:
    files = (str(folder / "pairs.jsonl"), "--catalog", str(folder / "catalog.jsonl"))
    there = ("--opensearch", url, "--out", str(folder / out))
    return CliRunner().invoke(cli, ["pairs", *files, *there, *options])


def sentence(done: Result) -> str:
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("status", [403, 404, 503])
def test_loss_10_pairs_with_a_node_that_refuses_or_is_away(folder: Path, status: int) -> None:
    def fault(method: str, path: str) -> None:
        raise AnswerError(status)

    with FakeOpenSearch() as node:
        node.request_fault = fault
        said = sentence(pairs(folder, node.url, "--index", "products"))
    assert said.startswith(f"mmsearch: expected {'OpenSearch' if status == 503 else 'hits from products'}")
    assert f"{status} fault_{status}" in said
    assert "; " in said
    assert not (folder / "hard.jsonl").exists()


def test_loss_10_pairs_without_a_node(folder: Path) -> None:
    with FakeOpenSearch() as node:
        url = node.url
    said = sentence(pairs(folder, url, "--index", "products"))
    assert said.endswith("to answer, got connection refused; start it, for example by: mmsearch up")


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        ({"timed_out": False, "_shards": {"total": 3, "failed": 1}}, "1 of 3 failed"),
        ({"timed_out": True, "_shards": {"total": 3, "failed": 0}}, "a timeout"),
    ],
)
def test_loss_10_negatives_of_a_part_of_the_index_are_refused(answer: dict[str, Any], got: str) -> None:
    with pytest.raises(MmsearchError, match=f"expected every shard of products to answer in time, got {got}"):
        ids(answer | {"hits": {"hits": [{"_id": "1"}]}}, "products")


def test_loss_10_pairs_that_cannot_be_written(folder: Path) -> None:
    said = sentence(pairs(folder, "http://127.0.0.1:1", out="nowhere/hard.jsonl"))
    assert said.startswith(f"mmsearch: expected to write pairs to {folder}/nowhere/hard.jsonl, got: No such")


LACKING = """
import sys
class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Lacking())
from mmsearch.cli.main import main
sys.argv = ["mmsearch", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize("command", ["train", "reindex", "models build", "models deploy"])
def test_loss_10_without_torch_the_sentence_names_the_extra(
    folder: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = folder / "trained"
    trained.mkdir()
    architecture = Path(models.__file__).parent / "architectures" / "4tmm_gated.json"
    (trained / "architecture.json").write_text(architecture.read_text())
    (trained / "fusion.safetensors").write_bytes(b"")
    catalog, model, served = (str(folder / name) for name in ("catalog.jsonl", "trained", "served"))
    pairs_there = ("--pairs", str(folder / "pairs.jsonl"), "--catalog", catalog)
    arguments = {
        "train": ("4tmm_gated", *pairs_there, "--out", model),
        "reindex": (catalog, "--model", model, "--repository", served),
        "models build": ("--repository", served),
        "models deploy": (model, "--repository", served),
    }[command]
    monkeypatch.setenv("MMSEARCH_CACHE", str(folder / "cache"))
    with FakeOpenSearch() as node:
        meta = {"mmsearch": {"fields": {"embedding": {}}}}
        node.indices["products-000001"] = {
            "settings": {"index": {}}, "mappings": {"_meta": meta, "properties": {}},
        }  # fmt: skip
        node.aliases["products"] = "products-000001"
        monkeypatch.setenv("MMSEARCH_OPENSEARCH", node.url)
        done = subprocess.run(
            [sys.executable, "-c", LACKING, *command.split(), *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1, done.stdout + done.stderr
    said = done.stderr.splitlines()[-1]
    assert said.startswith("mmsearch: expected ")
    assert "torch" in said
    assert said.endswith("repair: pip install 'mmsearch[train]'")
    assert "Traceback" not in done.stderr


def test_loss_10_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*arguments: object, **named: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("mmsearch.cli.status.command.callback", bug)
    assert "status" in COMMANDS
    assert isinstance(CliRunner().invoke(cli, ["status"]).exception, ZeroDivisionError)


def test_loss_10_the_pairs_that_are_written_are_whole(folder: Path) -> None:
    done = pairs(folder, "http://127.0.0.1:1")
    assert done.exit_code == 0, done.output
    (line,) = (folder / "hard.jsonl").read_text().splitlines()
    assert json.loads(line) == {"query": "oak", "product_id": "1", "count": 1.0, "negatives": ["2"]}


def training(folder: Path, out: Path, pairs_: Path | None = None) -> str:
    """The sentence of a training that cannot go on."""
    files = ("--pairs", str(pairs_ or folder / "pairs.jsonl"), "--catalog", str(folder / "catalog.jsonl"))
    return sentence(CliRunner().invoke(cli, ["train", "4tmm_gated", *files, "--out", str(out)]))


def test_loss_10_a_training_whose_folder_cannot_be_written(folder: Path) -> None:
    said = training(folder, folder / "pairs.jsonl" / "runs")
    assert said.startswith(
        f"mmsearch: expected to read and write a training's files in {folder}/pairs.jsonl/"
    )
    assert "got: Not a directory at " in said


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (gzip.compress(b'{"query": "q", "product_id": "1"}\n' * 50)[:-9], "readable to the end, got: "),
        (b"no gzip", "got 'no gzip' on its first line"),
    ],
)
def test_loss_10_pairs_that_are_cut_are_one_sentence(folder: Path, content: bytes, told: str) -> None:
    cut = folder / "pairs.jsonl.gz"
    cut.write_bytes(content)
    with pytest.raises(TrainingError, match=rf"expected .*pairs\.jsonl\.gz.* {told}"):
        read_pairs(cut)


def test_loss_10_a_checkpoint_that_is_cut_is_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = folder / "runs"
    out.mkdir()
    (out / "checkpoint.safetensors").write_bytes(b"cut")
    data, fusion = drawn(small("4tmm_gated")), fresh("4tmm_gated")
    monkeypatch.setattr("mmsearch.training.run.features", lambda *arguments: data)
    monkeypatch.setattr("mmsearch.training.run.registry.build", lambda architecture: fusion)
    said = training(folder, out)
    assert said.startswith(f"mmsearch: expected to read and write a training's files in {out}, got: ")
    assert said.endswith(f" at {out}; fix or remove that, or name another folder")
