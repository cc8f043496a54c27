"""The README's commands: every line is taken as it stands, and what needs servers is run on the real ones."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from pathlib import Path

import pytest

from mmsearch.search.lexical import DEFAULT, filled, named

from .test_docs import parsed

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SECTIONS = dict(
    re.findall(r"^#+ (.+?)\n(.*?)(?=^#|\Z)", re.sub(r"^\$ ", "> ", TEXT, flags=re.M), re.M | re.S)
)
NOT_HERE = ("make demo", "make test")
"""of the console lines: test_docs_real.py runs the first, and the second runs this"""


def commands(text: str) -> list[str]:
    """The commands of the console blocks; what stands below one and belongs to none is its output."""
    found: list[str] = []
    for block in re.findall(r"```console\n(.*?)```", text, re.S):
        command: list[str] = []
        for line in block.splitlines():
            if line.startswith("> "):
                command = [line[2:]]
            elif command:
                command.append(line)
            if command and complete("\n".join(command)):
                found.append("\n".join(command))
                command = []
        assert not command, block
    return found


def complete(command: str) -> bool:
    here = re.search(r"<<(\w+)$", command, re.M)
    if here:
        return command.endswith(f"\n{here[1]}")
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return False
    return True


ALL = [command for text in SECTIONS.values() for command in commands(text)]
SPANS = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.S))


def test_loss_03_the_console_lines_are_found() -> None:
    starts = [line for line in TEXT.splitlines() if line.startswith("$ ")]
    assert len(ALL) == len(starts) >= 12
    assert sum(command.startswith("curl") for command in ALL) == 3
    first_two = commands(SECTIONS["Install and try it"])[:2]
    assert [command.split("#")[0].strip() for command in first_two] == list(NOT_HERE)


@pytest.mark.parametrize("command", [each for each in ALL if each.startswith("mmsearch")])
def test_loss_03_each_commands_arguments_are_taken(command: str) -> None:
    parsed(shlex.split(command)[1:])


def test_loss_03_what_is_named_in_the_text_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = 0
    for span in (*SPANS, *(command.split("#")[0].strip() for command in ALL)):
        words = shlex.split(span) if span.count("'") % 2 == 0 else span.split()
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.M), span
        elif words[0] == ".venv/bin/python":
            known = runpy.run_path(str(ROOT / words[1] / "__main__.py"))["TABLES"]
            script = (ROOT / words[1] / known[words[2]].replace(".", "/")).with_suffix(".py")
            assert all(word in script.read_text(encoding="utf-8") for word in words[3:]), span
        elif words[0] == ".venv/bin/mmsearch" or (words[0] == "mmsearch" and len(words) > 1):
            parsed(words[1:])
        else:
            continue
        named += 1
    assert named >= 13


def test_loss_03_the_readme_is_read_in_one_sitting() -> None:
    assert len(TEXT.splitlines()) <= 150


def test_the_readmes_lexical_leg_is_the_one_that_is_asked() -> None:
    (hybrid,) = (json.loads(command.split("-d '")[1][:-1]) for command in ALL if '"hybrid"' in command)
    asked = hybrid["query"]["hybrid"]["queries"][0]
    (words,) = asked["bool"]["must"]
    default = named(filled(DEFAULT, words["multi_match"]["query"]), "words")
    options = default["bool"]["must"][0]["multi_match"]
    options["fields"] = [name for name in options["fields"] if not name.startswith("translations.")]
    assert asked == default
