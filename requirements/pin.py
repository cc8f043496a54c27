"""Writes lock.txt: every group of requirements/*.in resolved together, for all Pythons. Run by `make pins`.

    .venv/bin/python requirements/pin.py [--upgrade | --upgrade-package NAME]

Versions stay as they are pinned unless an option or a changed .in says otherwise.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

from choose import GROUPS, LOCK, PYTHONS, Pin
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

HERE = Path(__file__).parent
WORK = HERE.parent / "build" / "pins"
APART = HERE.parent / "tests" / "foreign" / "benchmark" / "requirements.in"
"""what the groups' versions rule out: it is pinned beside its .in, for the Pythons of `make test`"""
GLIBC = 35
"""minor of the newest glibc 2 that a wheel may want"""
HEADER = """\
# What is installed, for Linux on x86-64 and each supported Python: made by `make pins`, read by choose.py.
# Above each version stand the groups that need it, less those that come with another one of them.
# Hashes are those of the wheels that fit, and of the source where none does.

"""


def compile_(*arguments: str) -> None:
    """uv's resolver, from the folder of the .in files."""
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-python-downloads"]
    subprocess.run([*command, *arguments], cwd=HERE, check=True, stdout=subprocess.DEVNULL)


def resolve(options: list[str]) -> tuple[Path, list[dict[str, Any]]]:
    """All groups together: the versions, as constraints; and each version with its files."""
    versions, files = WORK / "versions.txt", WORK / "pylock.toml"
    if LOCK.is_file():
        shutil.copy(LOCK, versions)
    sources = [f"{group}.in" for group in GROUPS]
    every = ["--universal", "--python-version", PYTHONS[0]]
    compile_(*every, *options, *sources, "--output-file", str(versions))
    files.unlink(missing_ok=True)
    compile_(*every, "--no-deps", "--format", "pylock.toml", str(versions), "--output-file", str(files))
    packages: list[dict[str, Any]] = tomllib.loads(files.read_text(encoding="utf-8"))["packages"]
    return versions, packages


def needed(group: str, python: str, versions: Path) -> list[tuple[str, str]]:
    """Name and version of what a group and those that come with it need on a Python."""
    found = WORK / f"{group}-{python}.txt"
    found.unlink(missing_ok=True)
    platform = ["--python-version", python, "--python-platform", f"x86_64-manylinux_2_{GLIBC}"]
    sources = [f"{each}.in" for each in (*GROUPS[group], group)]
    compile_(*platform, "--constraint", str(versions), *sources, "--output-file", str(found))
    pins = (line.partition(" ")[0].split("==") for line in found.read_text(encoding="utf-8").splitlines())
    return [(name, version) for name, version in pins]


def named(needing: set[tuple[str, str]], pythons: tuple[str, ...]) -> tuple[str, ...]:
    """Groups, each with a Python, as the lock names them."""
    left = {
        (group, python)
        for group, python in needing
        if not any((other, python) in needing for other in GROUPS[group])
    }
    whole = {group for group, _ in left if all((group, python) in left for python in pythons)}
    return tuple(sorted(whole | {f"{group}@{python}" for group, python in left if group not in whole}))


def fitting(python: str) -> set[Tag]:
    """The tags of wheels that a Python takes."""
    version = [int(part) for part in python.split(".")]
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(GLIBC, 4, -1)]
    platforms += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]
    interpreter = f"cp{version[0]}{version[1]}"
    return {
        *cpython_tags(version, platforms=platforms),
        *compatible_tags(version, interpreter=interpreter, platforms=platforms),
    }


def hashes(package: dict[str, Any], pythons: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the wheels that fit; the source's where a Python has none."""
    kept, served = set(), set()
    for wheel in package.get("wheels", ()):
        tags = parse_wheel_filename(wheel["url"].rpartition("/")[2])[3]
        fits = {python for python in pythons if tags & fitting(python)}
        served |= fits
        if fits:
            kept.add(wheel["hashes"]["sha256"])
    if served != set(pythons):
        kept.add(package["sdist"]["hashes"]["sha256"])
    return tuple(f"--hash=sha256:{each}" for each in sorted(kept))


def users(versions: Path) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """Name and version of each package → the groups that need it, each with the Python where."""
    found = defaultdict(set)
    asked = list(product(GROUPS, PYTHONS))
    # Mostly waiting for the index.
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda user: needed(user[0], user[1], versions), asked)
        for user, answer in zip(asked, answers, strict=True):
            for package in answer:
                found[package].add(user)
    return found


def pin_apart(options: list[str]) -> None:
    """Resolve APART by itself, and write its pins."""
    pins, versions, files = APART.with_suffix(".txt"), WORK / "apart.txt", WORK / "pylock.apart.toml"
    if pins.is_file():
        shutil.copy(pins, versions)
    pythons = ("3.11", "3.12")
    every = ["--universal", "--python-version", pythons[0]]
    platform = ["--python-version", pythons[0], "--python-platform", f"x86_64-manylinux_2_{GLIBC}"]
    compile_(*platform, *options, str(APART), "--output-file", str(versions))
    files.unlink(missing_ok=True)
    compile_(*every, "--no-deps", "--format", "pylock.toml", str(versions), "--output-file", str(files))
    packages = tomllib.loads(files.read_text(encoding="utf-8"))["packages"]
    lines = [
        Pin(package["name"], package["version"], pythons, (), hashes(package, pythons)).line()
        for package in packages
    ]
    pins.write_text("".join(lines), encoding="utf-8")


def main() -> None:
    """Resolve, and write the lock."""
    WORK.mkdir(parents=True, exist_ok=True)
    versions, packages = resolve(sys.argv[1:])
    left = users(versions)
    lines = [HEADER]
    for package in packages:
        mine = left.pop((package["name"], package["version"]), set())
        pythons = tuple(python for python in PYTHONS if any(each == python for _, each in mine))
        if not pythons:
            continue
        groups = named(mine, pythons)
        pin = Pin(package["name"], package["version"], pythons, groups, hashes(package, pythons))
        marker = "" if pythons == PYTHONS else f' ; python_version in "{" ".join(pythons)}"'
        lines += [f"# {' '.join(groups)}\n", pin.line(marker)]
    if left:
        raise SystemExit(f"mmsearch: expected {sorted(left)} among what all groups need together, got none")
    LOCK.write_text("".join(lines), encoding="utf-8")
    pin_apart(sys.argv[1:])


if __name__ == "__main__":
    main()
