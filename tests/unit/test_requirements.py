"""The lock is whole: each group gets what it needs, hashed, on each Python, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from choose import EXTRAS, GROUPS, LOCK, PYTHONS, Pin, choose, read
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = LOCK.parent
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
EACH = [(group, python) for group in GROUPS for python in PYTHONS]


def wanted(group: str, python: str) -> list[Requirement]:
    """What the .in files of a group ask for on a Python."""
    lines = [
        line.partition(" #")[0].strip()
        for each in (group, *GROUPS[group])
        for line in (HERE / f"{each}.in").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    on = {"python_version": python, "python_full_version": f"{python}.0"}
    return [each for each in map(Requirement, lines) if not each.marker or each.marker.evaluate(on)]


def chosen(group: str, python: str, without: str | None = None) -> dict[str, Pin]:
    pins = choose(group, python, without)
    by_name = {pin.name: pin for pin in pins}
    assert len(by_name) == len(pins), "a package with two versions"
    return by_name


def closure(asked: list[Requirement]) -> dict[str, str]:
    """Names and versions of what is asked for and all that it needs, by what is installed here."""
    found: dict[str, str] = {}
    done = set()
    while asked:
        wish = asked.pop()
        name = canonicalize_name(wish.name)
        here = metadata.distribution(name)
        assert wish.specifier.contains(here.version, prereleases=True), (str(wish), here.version)
        found[name] = here.version
        for extra in ("", *wish.extras):
            if (name, extra) in done:
                continue
            done.add((name, extra))
            needs = map(Requirement, here.requires or ())
            asked += [each for each in needs if not each.marker or each.marker.evaluate({"extra": extra})]
    return found


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE / "choose.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_every_pin_has_hashes_and_no_line_an_address() -> None:
    pins = list(read())
    text = LOCK.read_text(encoding="utf-8")
    assert len(pins) == len(re.findall(r"^[\w.-]+==", text, re.M)) > 250
    for pin in pins:
        assert pin.hashes, pin
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in pin.hashes), pin
        assert {each.partition("@")[0] for each in pin.groups} <= set(GROUPS), pin
    assert "://" not in text


def test_what_is_pinned_apart_has_hashes_and_no_address() -> None:
    pins = HERE.parent / "tests" / "foreign" / "benchmark" / "requirements.txt"
    text = pins.read_text(encoding="utf-8")
    blocks = re.split(r"^(?=\S)", text, flags=re.M)[1:]
    assert len(blocks) > 50
    for block in blocks:
        assert re.fullmatch(r"[\w.-]+==[\w.]+( \\\n    --hash=sha256:[0-9a-f]{64})+\n", block), block
    asked = pins.with_suffix(".in").read_text(encoding="utf-8")
    assert set(re.findall(r"^[\w-]+==[\d.]+$", asked, re.M)) <= {block.split(" ")[0] for block in blocks}


def test_the_requirements_stay_small() -> None:
    assert sum(len(file.read_bytes().splitlines()) for file in HERE.iterdir() if file.is_file()) < 2500


def test_every_file_of_requirements_is_a_group() -> None:
    assert {file.stem for file in HERE.glob("*.in")} == set(GROUPS)


def test_every_extra_is_a_group_that_brings_the_client() -> None:
    extras = set(metadata.metadata("mmsearch").get_all("Provides-Extra") or ())
    assert extras == {*EXTRAS, "dev"}
    assert all("core" in GROUPS[extra] for extra in extras)


@pytest.mark.parametrize(("group", "python"), EACH)
def test_a_group_gets_a_fitting_version_of_all_that_it_names(group: str, python: str) -> None:
    pins = chosen(group, python)
    for wish in wanted(group, python):
        pin = pins[canonicalize_name(wish.name)]
        assert wish.specifier.contains(pin.version), (str(wish), pin)
    for other in GROUPS[group]:
        assert chosen(other, python).keys() <= pins.keys()


@pytest.mark.parametrize("group", ["core", *EXTRAS, "dev"])
def test_a_group_gets_what_its_packages_say_they_need_and_no_more(group: str) -> None:
    pins = {name: pin.version for name, pin in chosen(group, RUNNING).items()}
    assert closure(wanted(group, RUNNING)) == pins


@pytest.mark.parametrize("python", PYTHONS)
def test_the_client_is_small(python: str) -> None:
    pins = chosen("core", python)
    assert pins.keys().isdisjoint({"torch", "transformers", "onnxruntime", "pandas", "pyarrow", "ray"})
    assert len(pins) <= 30


def test_numpy_is_the_servers_where_they_run_and_new_elsewhere() -> None:
    numpy = {python: chosen("core", python)["numpy"].version.split(".")[0] for python in PYTHONS}
    assert numpy == {"3.11": "1", "3.12": "1", "3.13": "2"}


def test_without_a_group_leaves_what_that_group_has() -> None:
    every, own = chosen("bench", "3.12"), chosen("bench", "3.12", without="dev")
    assert every.keys() - own.keys() == every.keys() & chosen("dev", "3.12").keys()
    assert {"faiss-cpu", "lancedb", "numba"} <= own.keys()
    assert "numpy" not in own


def test_the_script_prints_a_file_of_requirements() -> None:
    done = run("core", "--python", "3.12")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "".join(pin.line() for pin in choose("core", "3.12"))
    first = done.stdout.partition("\n")[0]
    assert re.fullmatch(r"[\w-]+==[\w.]+ \\", first), first
    only = run("dev", "--only", "uv").stdout
    assert re.fullmatch(r"uv==[\d.]+ \\\n    --hash=sha256:[0-9a-f]{64}\n", only), only


def test_the_script_refuses_what_is_not_there() -> None:
    done = run("core", "--only", "torch")
    assert (done.returncode, done.stdout) == (2, "")
    assert "expected torch among what core needs, got none" in done.stderr
    assert run("nothing").returncode == run("core", "--python", "3.9").returncode == 2


@pytest.mark.slow
@pytest.mark.parametrize(("group", "python"), EACH)
def test_the_resolver_finds_the_same_within_the_lock(group: str, python: str, tmp_path: Path) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    settled = ["--no-header", "--no-annotate", "--no-python-downloads"]
    settled += ["--python-platform", "x86_64-manylinux_2_35"]
    sources = [str(HERE / f"{each}.in") for each in (*GROUPS[group], group)]
    found = subprocess.run(
        [uv, "pip", "compile", "--quiet", *settled, "--python-version", python, "-c", str(LOCK), *sources],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    resolved = dict(line.partition(" ")[0].split("==") for line in found.splitlines())
    assert resolved == {name: pin.version for name, pin in chosen(group, python).items()}
