"""The page on clients names the versions that `tests/foreign` pins, and shows what its programs do."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

from ..foreign.shop import CUSTOM, PIPELINE, RENAMED

ROOT = Path(__file__).parents[2]
FOREIGN = ROOT / "tests" / "foreign"
NO_CLIENTS = ("setuptools", "ranx")
"""pinned for the tests, but no clients of OpenSearch"""
PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")


def pinned() -> set[str]:
    """The versions of all clients that are asked for by name."""
    npm = json.loads((FOREIGN / "package.json").read_text(encoding="utf-8"))["dependencies"].values()
    (java,) = re.findall(
        r"<artifactId>opensearch-java</artifactId>\s*<version>([\d.]+)<",
        (FOREIGN / "java" / "pom.xml").read_text(encoding="utf-8"),
    )
    python = [
        version
        for file in (ROOT / "requirements" / "clients.in", FOREIGN / "benchmark" / "requirements.in")
        for name, version in re.findall(r"^([\w-]+)==([\d.]+)$", file.read_text(encoding="utf-8"), re.M)
        if name not in NO_CLIENTS
    ]
    return {java, *npm, *python}


def test_the_page_names_the_versions_that_are_tested() -> None:
    named = re.findall(r"^\| [^|]+ \| ([\d.]+) \|", PAGE, re.M)
    assert len(named) == 8
    assert set(named) == pinned()


def test_each_client_has_a_test() -> None:
    rows = re.findall(r"^\| ([^|]+) \| (?:[\d.]+|its requests) \|", PAGE, re.M)
    files = [
        file.read_text(encoding="utf-8") for file in FOREIGN.glob("test_*.py") if "trec" not in file.name
    ]
    assert len(rows) == len(files) == 9


def assigned(source: str) -> dict[str, list[str]]:
    """Each class of a source with what its body assigns."""
    return {
        node.name: [ast.dump(line) for line in node.body if isinstance(line, ast.Assign)]
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
    }


def test_the_classes_of_the_page_are_the_programs() -> None:
    (shown,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    classes = assigned(shown)
    program = assigned((FOREIGN / "programs" / "opensearch_py.py").read_text(encoding="utf-8"))
    assert list(classes) == ["Neural", "Hybrid"]
    assert classes == {name: program[name] for name in classes}


def test_the_bodies_of_the_page_are_what_the_programs_send() -> None:
    bodies = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    assert bodies == [{**PIPELINE, "response_processors": RENAMED}, CUSTOM]
