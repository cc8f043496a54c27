"""One library: a module is importable under one name, and each way to install it holds it once."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pytest

import mmsearch
from mmsearch.errors import StackError
from mmsearch.stack import triton_server

from ..fakes.checkout import LINKED, ROOT, copy_sources


class Version(NamedTuple):
    """As `sys.version_info`."""

    major: int
    minor: int
    micro: int


@pytest.mark.parametrize("name", LINKED)
def test_a_folder_at_the_top_is_linked_into_the_library(name: str) -> None:
    link = ROOT / "src" / "mmsearch" / name
    assert link.readlink() == Path("..", "..", name)
    assert importlib.import_module(f"mmsearch.{name}").__name__ == f"mmsearch.{name}"


@pytest.mark.parametrize("name", LINKED)
def test_no_folder_is_importable_under_its_short_name(name: str) -> None:
    # opensearch-py's protobufs own the top-level name `opensearch`; what counts is that it is not ours.
    spec = importlib.util.find_spec(name)
    ours = importlib.import_module(f"mmsearch.{name}").__file__
    assert spec is None or spec.origin != ours


def test_the_packages_under_test_are_the_ones_meant() -> None:
    wheel = os.environ.get("MMSEARCH_TESTS_EXPECT") == "wheel"
    location = str(importlib.import_module("mmsearch.cli").__file__)
    assert ("site-packages" in location) is wheel


def test_the_version_is_the_installed_one() -> None:
    assert mmsearch.__version__ == metadata.version("mmsearch")


def test_python_starts_the_command_line() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "mmsearch", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert said.startswith("Usage: mmsearch [OPTIONS] COMMAND")


def test_wheel_and_sdist_hold_each_file_of_the_library_once(tmp_path: Path) -> None:
    copy_sources(tmp_path / "tree")
    built = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path, tmp_path / "tree"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr

    # What is there, found by walking the folders and not the links, which setuptools walks.
    library = tmp_path / "tree" / "src" / "mmsearch"
    ours = [("", library), *((f"{name}/", tmp_path / "tree" / name) for name in LINKED)]
    expected = sorted(
        f"mmsearch/{prefix}{file.relative_to(folder)}"
        for prefix, folder in ours
        for file in folder.rglob("*")
        if file.is_file() and "egg-info" not in str(file)
    )
    (wheel,) = tmp_path.glob("*.whl")
    in_wheel = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert sorted(in_wheel) == expected
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    assert not [member.name for member in members if member.issym() or member.islnk()]
    in_sdist = [member.name.partition("/")[2] for member in members if member.isfile()]
    assert sorted(name for name in in_sdist if name.startswith("src/mmsearch/")) == [
        f"src/{name}" for name in expected
    ]
    assert not [name for name in in_sdist if name.partition("/")[0] in (*LINKED, "tests")]


def test_tools_that_walk_files_see_the_linked_folders_once() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert {f"src/mmsearch/{name}" for name in LINKED} <= set(settings["ruff"]["extend-exclude"])


def test_the_embedded_servers_alone_bind_python_and_numpy() -> None:
    about = metadata.metadata("mmsearch")
    assert about["Requires-Python"] == ">=3.11"
    wanted = [each.partition(";") for each in metadata.requires("mmsearch") or ()]
    numpy = {extra.strip(): name.strip() for name, _, extra in wanted if name.startswith("numpy")}
    assert numpy == {"": "numpy>=1.26", 'python_version < "3.13" and extra == "local"': "numpy<2"}
    core = [name.strip() for name, _, extra in wanted if "extra" not in extra]
    assert not [
        name for name in core if name.startswith(("torch", "pandas", "onnx", "nvidia", "ray", "pyarrow"))
    ]


def test_the_embedded_servers_name_the_pythons_that_they_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_server.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StackError, match=r"repair: pip install 'mmsearch\[local\]'"):
        triton_server.parts()
    monkeypatch.setattr(triton_server.sys, "version_info", Version(3, 13, 0))
    with pytest.raises(
        StackError, match=r"expected Python 3\.11 or 3\.12 for the embedded servers, got 3\.13;"
    ):
        triton_server.parts()
