"""How many files a folder holds, which names are gone, and that the layers are those that the page draws."""

from __future__ import annotations

import ast
import json
import re
import runpy
import subprocess
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = (".py", ".java", ".sh", ".js", ".html", ".css")
MOST = 15
"""source files of a folder's own; a folder of commands or of tests is a list, and may be longer"""
LISTS = ("cli", "tests", "plugin/src/test")
ENDINGS = ("ings", "ing", "ions", "ion", "ers", "er", "ors", "or", "ed", "es", "s", "e", "y", "ies")


def tracked(*patterns: str) -> list[Path]:
    """Files of the checkout that are there, below its top."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: what is tracked cannot be told")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    names = [Path(name) for name in listed.split("\0") if name]
    return [name for name in names if (ROOT / name).is_file()]


def is_list(folder: Path) -> bool:
    return any(folder == Path(name) or Path(name) in folder.parents for name in LISTS)


def test_no_folder_holds_more_than_fifteen_source_files() -> None:
    folders = Counter(file.parent for file in tracked() if file.suffix in SOURCES)
    assert {
        str(folder): count for folder, count in folders.items() if count > MOST and not is_list(folder)
    } == {}


def stems(name: str) -> set[str]:
    """What may be left of a name when its ending goes: of `encoding`, `encode` and `encodes` the same."""
    return {name} | {name.removesuffix(ending) for ending in ENDINGS if len(name) > len(ending) + 2}


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("encode", "encoding", True), ("fetch", "fetching", True), ("export", "exports", True),
        ("index", "indexes", True), ("entry", "entries", True), ("fuse", "fusion", True),
        ("encode", "decode", False), ("image", "imagine", False), ("read_stage", "index_stage", False),
        ("test_images", "test_image_formats", False),
    ],
)  # fmt: skip
def test_what_differs_by_its_ending_alone_is_found(one: str, other: str, alike: bool) -> None:
    assert bool(stems(one) & stems(other)) is alike


def test_no_two_modules_of_a_folder_differ_by_a_suffix_alone() -> None:
    folders: dict[Path, set[str]] = defaultdict(set)
    for file in tracked("*.py"):
        if not file.name.startswith("__"):
            folders[file.parent].add(file.stem)
        if (ROOT / file.parent / "__init__.py").is_file():
            folders[file.parent.parent].add(file.parent.name)
    alike = [
        f"{folder}: {one}, {other}"
        for folder, names in folders.items()
        for one in names
        for other in names
        if one < other and stems(one) & stems(other)
    ]
    assert alike == []


# Names that are gone, with what is said in their place. A whole name is looked at where the word is plain
# English (a test may be about what is seen), every part of a name where nothing but our own dialect says it.
WHOLE_IN_PYTHON = {
    "told": "kernel_map",
    "learned": "fusion_heads",
    "whole": "full_size",
    "probe": "read_header",
    "front": "read_stage",
    "seen": "id_set",
    "inside": "fusion_session",
    "remembered": "embedding_cache",
}
WHOLE_IN_JAVA = {
    "Flight": "InFlightEncoding",
    "Waiter": "a waiting call",
    "Gathering": "a batch that is filled",
    "Winner": "RankDoc",
}
PARTS = {
    "taught": "auxiliary_images",
    "tally": "stats",
    "catalogue": "catalog",
    "circuitbreaker": "EndpointBreaker",
    "wish": "a name",
}
LIST = Path("tests", "unit", "test_rooms.py")


def parts(name: str) -> list[str]:
    """`_wishOne_two` is wish, one, two; `CircuitBreaker` is circuit, breaker and circuitbreaker."""
    found = [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    return [*found, *("".join(found[at : at + 2]) for at in range(len(found) - 1))]


def gone(name: str, whole: dict[str, str] | None = None) -> str | None:
    """What to say in a name's place, or None where it may stay."""
    plain = name.strip("_-").removesuffix("Tests").removesuffix("IT")
    for old, new in (whole or WHOLE_IN_PYTHON | WHOLE_IN_JAVA).items():
        if plain in (old, f"{old}s", old.capitalize(), old.upper()):
            return new
    for part in parts(plain):
        for old, new in PARTS.items():
            if part in (old, f"{old}s"):
                return new
    return None


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("told", False), ("_told", False), ("Told", False), ("without_taught", False), ("Tally", False),
        ("write_catalogue", False), ("--catalogue", False), ("CircuitBreaker", False), ("testX_wish3", False),
        ("Seen", False), ("Flight", False), ("FlightTests", False),
        ("InFlightEncoding", True), ("in_flight", True),
        ("EndpointBreaker", True), ("catalog", True), ("wished", True), ("untold", True),
        ("test_a_refusal_is_told", True), ("wholes", False),
    ],
)  # fmt: skip
def test_a_name_that_is_gone_is_known_by_sight(name: str, stays: bool) -> None:
    assert (gone(name) is None) is stays


def python_names(file: Path) -> Iterator[str]:
    """Modules, classes, functions, parameters, options, and the keys of dictionaries that are written."""
    yield from file.with_suffix("").parts
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            # A test's parameters are its own words.
            if file.parts[0] != "tests":
                yield node.arg
        elif isinstance(node, ast.Dict):
            for key in node.keys:
                if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value.isidentifier():
                    yield key.value
        elif isinstance(node, ast.Constant) and re.fullmatch(r"--[a-z][a-z0-9-]*", str(node.value)):
            yield str(node.value)


def java_names(file: Path) -> Iterator[str]:
    """Packages, classes, methods, and the fields that JSON has."""
    yield from file.with_suffix("").parts
    text = (ROOT / file).read_text(encoding="utf-8")
    yield from re.findall(r"\b(?:class|interface|record|enum)\s+(\w+)", text)
    yield from re.findall(r"\b(?:[\w<>\[\],.? ]+)\s(\w+)\s*\([^)]*\)\s*(?:throws [\w., ]+)?\{", text)
    yield from re.findall(r"\.(?:field|startObject|startArray)\(\"(\w+)\"", text)
    yield from re.findall(r"ParseField\(\"(\w+)\"", text)


def json_names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from json_names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from json_names(inner)


def names(file: Path) -> Iterator[str]:
    if file.suffix == ".py":
        yield from python_names(file)
    elif file.suffix == ".java":
        yield from java_names(file)
    elif file.suffix == ".json":
        yield from file.with_suffix("").parts
        yield from json_names(json.loads((ROOT / file).read_text(encoding="utf-8")))
    else:
        yield from file.with_suffix("").parts


OPENSEARCHS = {"getCircuitBreaker", "setCircuitBreaker"}
"""methods of OpenSearch's interfaces that the plugin implements: their names are not ours to choose"""


def found(files: list[Path]) -> list[str]:
    return sorted(
        {
            f"{file}: {name}, say {instead}"
            for file in files
            if file != LIST
            for name in {*names(file)} - OPENSEARCHS
            if (instead := gone(name, WHOLE_IN_JAVA if file.parts[0] == "plugin" else WHOLE_IN_PYTHON))
        }
    )


def test_names_that_are_gone_stay_away_from_the_python() -> None:
    assert found([file for file in tracked() if file.suffix != ".java" and "plugin" not in file.parts]) == []


def test_names_that_are_gone_stay_away_from_the_plugin() -> None:
    assert found(tracked("plugin")) == []


def test_options_of_the_commands_are_spelt_as_the_pages_spell_them() -> None:
    pages = "".join((ROOT / page).read_text(encoding="utf-8") for page in tracked("docs/*.md", "README.md"))
    assert sorted({word for word in re.findall(r"--[a-z][a-z-]+", pages) if gone(word)}) == []


def layers() -> list[str]:
    """The contract's layers, bottom to top, each module by itself."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (contract,) = [each for each in settings["contracts"] if each["type"] == "layers"]
    return [re.sub(r"\W", "", name) for row in reversed(contract["layers"]) for name in row.split("|")]


def test_the_page_draws_the_layers_that_are_checked() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = re.findall(r"^\| `([\w`, ]+)` \|", page, re.M)
    assert [name for row in reversed(drawn) for name in re.findall(r"\w+", row)] == [
        name for name in layers() if name != "api" or "api" in page
    ]


def test_the_files_that_the_page_walks_through_are_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    files = tracked()
    listed = {str(file) for file in files}
    by_name = {file.name for file in files}
    named = re.findall(r"`([\w/]+\.(?:py|java))`", page)
    assert len(named) > 30
    assert [name for name in named if name not in (listed if "/" in name else by_name)] == []


def test_the_functions_that_the_page_walks_through_are_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    ways = page[page.index("## Path of a product") : page.index("## Connections")]
    for line in ways.splitlines():
        for name, file in re.findall(r"`([\w.]+)` of `([\w/]+\.py)`", line):
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            there = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)}
            assert set(name.split(".")) <= there, line


def test_no_unit_test_needs_servers() -> None:
    marked = re.compile(r"^(?:@|pytestmark = )pytest\.mark\.integration", re.M)
    units = tracked("tests/unit/*.py")
    assert len(units) > 50
    assert [str(file) for file in units if marked.search((ROOT / file).read_text(encoding="utf-8"))] == []


TOOLS = ("bench", "qa", "examples")


def module_file(name: str) -> Path | None:
    """The file of a module of ours, of the library or of the tools, or None for another's."""
    parts = name.split(".")
    places = [ROOT / "src"] if parts[0] == "mmsearch" else [ROOT / tool for tool in TOOLS]
    for place in places:
        for file in (place.joinpath(*parts).with_suffix(".py"), place.joinpath(*parts, "__init__.py")):
            if file.is_file():
                return file
        if place.joinpath(*parts).is_dir() and len(parts) == 1:
            return place.joinpath(*parts)
    return None


def defined(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    made = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            made |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            made.add(node.id)
    return made


def test_what_the_tools_import_of_ours_is_there() -> None:
    """They are not type-checked, and most of them are run by hand: a rename would be found late."""
    checked, lacking = 0, []
    for file in tracked(*(f"{tool}/*.py" for tool in TOOLS)):
        for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            there = module_file(node.module)
            if there is None:
                lacking += [f"{file}: {node.module}"] * (node.module.split(".")[0] == "mmsearch")
                continue
            known = defined(there) if there.is_file() else set()
            for alias in node.names:
                checked += 1
                if alias.name not in known and module_file(f"{node.module}.{alias.name}") is None:
                    lacking.append(f"{file}: {node.module}.{alias.name}")
    assert lacking == []
    assert checked > 200


def test_the_files_that_the_tools_run_are_there() -> None:
    """Tests, scripts and modules that are named in strings, in the tools and in the shell."""
    named = [
        (file, name)
        for file in tracked("bench/*.py", "qa/*.py", "examples", "scripts", "Makefile")
        for name in re.findall(
            r"(?:tests|scripts|examples|qa|bench)/[\w/]+\.(?:py|sh)|\btests(?:\.\w+)+",
            (ROOT / file).read_text(encoding="utf-8"),
        )
    ]
    assert len(named) > 20
    lacking = [
        f"{file}: {name}"
        for file, name in named
        if not (ROOT / (name if "/" in name else name.replace(".", "/") + ".py")).is_file()
    ]
    assert lacking == []


@pytest.mark.parametrize(("folder", "table"), [("bench", "TABLES"), ("qa", "CHECKS")])
def test_each_command_of_the_tools_has_a_main(folder: str, table: str) -> None:
    commands = runpy.run_path(str(ROOT / folder / "__main__.py"))[table]
    for module in commands.values():
        file = (ROOT / folder / module.replace(".", "/")).with_suffix(".py")
        assert "main" in defined(file), file
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(re.findall(rf"python {folder} ([\w-]+)", makefile)) <= set(commands)
