"""docs/evaluation.md: its commands exist with these options, its judgments are read, its pictures exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from mmsearch.cli.main import cli
from mmsearch.evaluation.exchange.judged_file import read_judgments
from mmsearch.evaluation.gate import parse_gate
from mmsearch.evaluation.measures import parse

PAGE = Path(__file__).parents[2] / "docs" / "evaluation.md"
TEXT = PAGE.read_text(encoding="utf-8")
CONSOLE = "\n".join(re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)).replace("\\\n", " ")
COMMANDS = [
    *(line for line in CONSOLE.splitlines() if line.strip()),
    *re.findall(r"`(mmsearch (?:ui|search|dashboards) [^`]+)`", TEXT),
]


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_takes_these_arguments(line: str) -> None:
    program, *arguments = shlex.split(line)
    assert program == "mmsearch"
    with cli.make_context("mmsearch", arguments, resilient_parsing=True) as context:
        command: click.Command = cli
        while isinstance(command, click.Group):
            name, found, arguments = command.resolve_command(context, arguments)
            assert found is not None, name
            command = found
        parser = command.make_parser(click.Context(command, info_name=command.name))
        parser.parse_args(arguments)  # an option that the command lacks is a NoSuchOption


def test_judgments_gates_and_measures_are_read(tmp_path: Path) -> None:
    (block,) = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "judgments.jsonl").write_text(block, encoding="utf-8")
    judgments = read_judgments(tmp_path / "judgments.jsonl")
    assert [query.modality for query in judgments.queries.values()] == ["text", "picture", "both"]
    gates = re.search(r"own units: (.*)\.", TEXT)
    assert gates
    for gate in re.findall(r"`([^`]+)`", gates[1]):
        parse(parse_gate(gate).measure, judgments)
    for written in re.findall(r"^\| `([a-z]+\([^`]*\)@k)`", TEXT, re.MULTILINE):
        parse(written.replace("@k", "@10"), judgments)


def test_pictures_are_there() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TEXT)
    assert len(pictures) == 3
    assert all((PAGE.parent / picture).stat().st_size > 10_000 for picture in pictures)
