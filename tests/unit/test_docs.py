"""The documentation: every command block is run or says what it needs, every body is what the plugin takes,
and the site builds without a warning."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from mmsearch.cli.main import cli
from mmsearch.clients.credentials import DashboardsAccess, OpenSearchAccess, TritonAccess

from ..fakes import docs_shop
from ..fakes.fake_opensearch import FakeOpenSearch
from ..fakes.fake_triton import FakeTriton

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *("index", "quickstart", "concepts", "query", "query-examples", "operations", "sizing", "failures"),
    *("migration", "architecture", "containers"),
]
MARKS = (
    *("needs servers", "ends servers"),
    "needs a container",
    *("needs a cluster", "needs the official image"),
    *("needs a release", "needs a training"),
)
"""a line each: run by test_docs_real.py, by `make containers`, by nothing here, by test_dist.py and others"""


@dataclass(frozen=True)
class Block:
    page: str
    number: int
    mark: str
    language: str
    text: str

    @property
    def lines(self) -> list[str]:
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line.strip()]


def blocks(page: str) -> list[Block]:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    found = re.findall(r"(?:<!-- (.+?) -->\n)?```(\w*)\n(.*?)```", text, re.DOTALL)
    return [Block(page, number, *each) for number, each in enumerate(found)]


ALL = [block for page in PAGES for block in blocks(page)]
COMMANDS = [block for block in ALL if block.language == "console"]
JSON = [block for block in ALL if block.language == "json"]


def name(block: Block) -> str:
    return f"{block.page}-{block.number}"


def test_every_block_has_a_language_and_a_known_mark() -> None:
    for block in ALL:
        assert block.language in ("console", "csv", "json", "text"), name(block)
        assert block.mark in ("", *MARKS) or block.mark.startswith("file: "), name(block)


def test_what_needs_a_container_stands_where_make_containers_reads_it() -> None:
    assert {block.page for block in ALL if block.mark == "needs a container"} == {"containers"}
    assert {block.mark for block in COMMANDS if block.page == "containers"} == {"needs a container"}


@pytest.mark.parametrize("block", [each for each in COMMANDS if not each.mark], ids=name)
def test_what_needs_nothing_is_run(block: Block, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("certificates"))
    shutil.copy(ROOT / ".env.example", tmp_path)
    subprocess.run(["sh", "-euc", block.text], cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize("block", [each for each in COMMANDS if each.mark], ids=name)
def test_what_needs_servers_has_arguments_that_are_taken(block: Block) -> None:
    for line in block.lines:
        program, *arguments = shlex.split(line)
        if program == "mmsearch":
            parsed(arguments)
        elif program == "make":
            for target in arguments:
                assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
        elif program == "curl":
            bodies = [arguments[at + 1] for at, argument in enumerate(arguments) if argument == "-d"]
            assert bodies or "DELETE" in arguments, line
            for body in bodies:
                file = ROOT / body.removeprefix("@")
                json.loads(file.read_text(encoding="utf-8") if body.startswith("@") else body)
        elif program == "docker":
            compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
            for at, argument in enumerate(arguments):
                if argument == "--profile":
                    assert re.search(rf"profiles: \[.*\b{arguments[at + 1]}\b", compose), line
        elif program == "kubectl":
            if "--kustomize" in arguments:
                assert (ROOT / arguments[-1] / "kustomization.yaml").exists()
        elif program in ("tar", "rm", "mkdir"):
            continue
        elif block.mark != "needs a release":
            assert (ROOT / program).exists(), line


def parsed(arguments: list[str]) -> None:
    with cli.make_context("mmsearch", list(arguments), resilient_parsing=True) as context:
        command: click.Command = cli
        while isinstance(command, click.Group):
            called, found, arguments = command.resolve_command(context, arguments)
            assert found is not None, called
            command = found
        command.make_parser(click.Context(command, info_name=command.name)).parse_args(list(arguments))


def test_the_quick_starts_catalog_has_the_columns_that_are_mapped() -> None:
    commands = "\n".join(each.text for each in COMMANDS if each.page == "quickstart")
    mapped = dict(pair.split("=") for pair in re.findall(r"--map (\S+)", commands))
    assert set(mapped.values()) | {"price"} == set(docs_shop.rows()[0])


def test_the_quick_starts_catalog_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between fakes at the wire: the command as written, the CSV as written."""
    docs_shop.write(tmp_path)
    (command,) = [
        line for each in COMMANDS if each.page == "quickstart" for line in each.lines if "shop.csv " in line
    ]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path / "cache"))
    with FakeTriton() as triton, FakeOpenSearch() as node:
        monkeypatch.setenv("MMSEARCH_TRITON", triton.url)
        monkeypatch.setenv("MMSEARCH_OPENSEARCH", node.url)
        result = CliRunner().invoke(cli, [*shlex.split(command)[1:], "--processes", "0", "--json"])
        assert result.exit_code == 3, result.output
        sources = node.sources()
    assert list(sources) == ["A1", "A2", "A3", "A4", "A5", "A6", "A7"]
    assert sources["A1"]["category"] == "Seats"
    assert [sources[key]["price"] for key in ("A2", "A4")] == [39.9, 1299.0]


@pytest.mark.parametrize("block", JSON, ids=name)
def test_bodies_have_only_keys_that_the_reference_lists(block: Block) -> None:
    reference = (DOCS / "query.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`(\w+)`", reference))
    for clause in clauses(json.loads(block.text)):
        assert set(clause) <= listed, set(clause) - listed


def clauses(body: Any) -> list[dict[str, Any]]:
    """What stands in each `neural` and `hybrid`, at any depth."""
    if isinstance(body, list):
        return [found for each in body for found in clauses(each)]
    if not isinstance(body, dict):
        return []
    found = [each for value in body.values() for each in clauses(value)]
    if "hybrid" in body:
        found.append(body["hybrid"])
    if "neural" in body:
        found += body["neural"].values()
    return found


def test_the_reference_lists_every_key_of_the_hybrids_parser() -> None:
    parser = (ROOT / "plugin/src/main/java/org/mmsearch/hybrid/HybridParser.java").read_text(encoding="utf-8")
    keys = re.findall(r'case "(\w+)"', parser)
    assert len(keys) >= 8
    reference = (DOCS / "query.md").read_text(encoding="utf-8")
    for key in keys:
        assert f"`{key}`" in reference, key


def test_the_reference_is_the_plugins_own() -> None:
    reference = (DOCS / "query.md").read_text(encoding="utf-8")
    text = (ROOT / "plugin/README.md").read_text(encoding="utf-8")
    for line in text[text.index("## `neural`") : text.index("## Settings")].splitlines():
        assert line in reference, f"expected docs/query.md to say what plugin/README.md says: {line}"


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_pages_stand_in_the_site(page: Path) -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert page.name in site["nav"]


@pytest.mark.parametrize("page", sorted({page.stem for page in DOCS.glob("*.md")} - set(PAGES)))
def test_commands_of_the_other_pages_have_arguments_that_are_taken(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    console = "\n".join(re.findall(r"```(?:console|sh|bash)\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    lines = [line.removeprefix("$ ") for line in console.splitlines()]
    commands = [line for line in lines if line.startswith("mmsearch ")]
    commands += re.findall(r"`(mmsearch [a-z][^`]*)`", text)
    assert commands
    for line in commands:
        parsed(shlex.split(line, comments=True)[1:])


def test_security_lists_every_credential() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for access in (OpenSearchAccess, TritonAccess, DashboardsAccess):
        for field in (each.name for each in fields(access)):
            own = f"MMSEARCH_{access.server}_{field.upper()}"
            assert own in text or f"MMSEARCH_{field.upper()}" in text, own
        for secret in access.secrets:
            assert f"`MMSEARCH_{access.server}_{secret.upper()}_FILE`" in text


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    for page in PAGES:
        assert (tmp_path / "site" / f"{page}.html").exists()
