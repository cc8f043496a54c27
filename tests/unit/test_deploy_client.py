"""The command line in a container: it waits for servers, looks at them, and names repairs that are there."""

from __future__ import annotations

import ast
import importlib
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mmsearch.cli.in_container import fitted
from mmsearch.cli.main import cli
from mmsearch.stack.ports import free

from ..fakes.fake_opensearch import FakeOpenSearch
from ..fakes.fake_triton import FakeTriton

HERE = "docker compose --profile cpu"


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "catalog.jsonl"
    path.write_text(json.dumps({"id": "1", "title": "chair"}) + "\n", encoding="utf-8")
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path / "cache"))
    return path


def ingest(catalog: Path, node: str, triton: str, *options: str) -> tuple[int, str]:
    arguments = [
        "ingest",
        str(catalog),
        "--opensearch",
        node,
        "--triton",
        triton,
        "--processes",
        "0",
        *options,
    ]
    done = CliRunner().invoke(cli, arguments)
    return done.exit_code, done.output


def test_without_the_option_nobody_waits_at_the_start(catalog: Path) -> None:
    with FakeOpenSearch() as node:
        code, said = ingest(catalog, node.url, f"127.0.0.1:{free(1)[0]}")
    assert code == 1
    assert "start it" in said


def test_servers_that_are_starting_are_waited_for(catalog: Path) -> None:
    (port,) = free(1)
    started: list[FakeTriton] = []
    timer = threading.Timer(1.0, lambda: started.append(FakeTriton(port=port)))
    with FakeOpenSearch() as node:
        timer.start()
        try:
            code, said = ingest(catalog, node.url, f"127.0.0.1:{port}", "--wait-for-servers")
        finally:
            timer.join()
            for each in started:
                each.__exit__(None, None, None)
        assert code == 0, said
        assert f"Triton at 127.0.0.1:{port} does not respond" in said
        assert list(node.sources()) == ["1"]


def test_the_wait_ends_where_give_up_after_says(catalog: Path) -> None:
    with FakeOpenSearch() as node:
        code, said = ingest(
            catalog, node.url, f"127.0.0.1:{free(1)[0]}", "--wait-for-servers", "--give-up-after", "0.5"
        )
    assert code == 1
    assert "to answer within 0 s" in said or "to answer within 1 s" in said


@pytest.mark.parametrize(
    ("message", "there"),
    [
        ("start it, for example by: mmsearch up", f"start it, for example by: {HERE} up --wait"),
        ("mmsearch up --http-port 0", f"{HERE} up --wait"),
        ("repair: mmsearch models build", "repair: outside the container: mmsearch models build"),
        (
            "go on with: mmsearch ingest catalog.jsonl",
            f"go on with: {HERE} run --rm ingest ingest catalog.jsonl",
        ),
        (
            "run: mmsearch retry /state/rejects.jsonl",
            f"run: {HERE} run --rm ingest retry /state/rejects.jsonl",
        ),
        ("mmsearch logs triton", f"{HERE} logs triton-cpu"),
        ("make plugin", "outside the container: make plugin"),
        (
            "pip install 'mmsearch[aws]'",
            "a virtual environment outside the container: pip install 'mmsearch[aws]'",
        ),
        ("expected mmsearch to be there", "expected mmsearch to be there"),
    ],
)
def test_repairs_are_those_of_compose(message: str, there: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fitted(message) == message
    monkeypatch.setenv("MMSEARCH_CONTAINER", "image")
    assert fitted(message) == message
    monkeypatch.setenv("MMSEARCH_CONTAINER", "compose")
    assert fitted(message) == there


CLIENTS = ("api", "cli", "clients", "evaluation", "extras", "images", "ingest", "products", "search")
"""what a container runs: not the embedded servers, not the making of models"""
NOT_IN_THE_IMAGE = {"up", "down", "status", "logs", "models", "train", "pairs", "ui"}
"""commands of mmsearch that need what the client's image lacks, and the files of those commands"""


def sentences() -> Iterator[tuple[str, str]]:
    """(file, text) of every string of the code that a container runs, but for docstrings; values are X."""
    for package in CLIENTS:
        found = Path(str(importlib.import_module(f"mmsearch.{package}").__file__))
        for path in sorted(found.parent.rglob("*.py")) if found.stem == "__init__" else [found]:
            if package == "cli" and path.stem in NOT_IN_THE_IMAGE:
                continue
            tree = ast.parse(path.read_text(encoding="utf-8"))
            inner = {
                id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
            }
            docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            helps = {
                id(part)
                for node in ast.walk(tree)
                if isinstance(node, ast.keyword) and node.arg == "help"
                for part in ast.walk(node.value)
            }
            for node in ast.walk(tree):
                if id(node) in inner | docstrings | helps:
                    continue
                if isinstance(node, ast.JoinedStr):
                    parts = [part.value if isinstance(part, ast.Constant) else "X" for part in node.values]
                    yield path.name, "".join(map(str, parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield path.name, node.value


def test_no_repair_is_of_what_a_container_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMSEARCH_CONTAINER", "compose")
    commands = "|".join(sorted(NOT_IN_THE_IMAGE))
    lacking = re.compile(rf"(?<!container: )\b(mmsearch ({commands})\b|make plugin|pip install)")
    seen = 0
    for name, text in sentences():
        if lacking.search(text) and not text.startswith(("import ", "Example")):
            seen += 1
            assert not lacking.search(fitted(text)), f"{name}: {fitted(text)}"
    assert seen >= 8


def test_a_failure_in_a_container_names_composes_repair(
    catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMSEARCH_CONTAINER", "compose")
    with FakeOpenSearch() as node:
        code, said = ingest(catalog, node.url, f"127.0.0.1:{free(1)[0]}")
    assert code == 1
    assert f"{HERE} up --wait" in said
    assert "mmsearch up" not in said


def test_doctor_in_a_container_names_each_server_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMSEARCH_CONTAINER", "compose")
    for name, url in (("OPENSEARCH", "http://127.0.0.1:{}"), ("TRITON", "127.0.0.1:{}")):
        monkeypatch.setenv(f"MMSEARCH_{name}", url.format(free(1)[0]))
    done = CliRunner().invoke(cli, ["doctor"])
    assert done.exit_code == 1
    wrong = [line for line in done.output.splitlines() if line.startswith("WRONG")]
    assert [line.split(":")[0] for line in wrong] == ["WRONG Triton", "WRONG OpenSearch"]
    assert all(f"repair: start it, for example by: {HERE} up --wait" in line for line in wrong)
    assert "Java" not in done.output


def test_doctor_in_a_container_finds_an_encoder_that_encodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMSEARCH_CONTAINER", "compose")
    monkeypatch.setenv("MMSEARCH_OPENSEARCH", f"http://127.0.0.1:{free(1)[0]}")
    with FakeTriton() as triton:
        monkeypatch.setenv("MMSEARCH_TRITON", triton.url)
        done = CliRunner().invoke(cli, ["doctor", "--json"])
        assert len(triton.calls) == 1
    found = {each["name"]: each for each in json.loads(done.output)}
    assert found["Triton"]["state"] == "ok"
    assert found["OpenSearch"]["state"] == "wrong"
