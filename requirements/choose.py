#!/usr/bin/env python3
"""Prints what is pinned for a group, with hashes, for one Python. Needs the standard library alone.

    requirements/choose.py GROUP [--python 3.12] [--without GROUP] [--only NAME ...]

The output is a requirements file, for `pip install --require-hashes -r` and `uv pip sync --require-hashes`.
Without `--python` it is for the Python that runs this.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).with_name("lock.txt")
PYTHONS = ("3.11", "3.12", "3.13")
EXTRAS = ("local", "train", "ui", "formats", "ray", "aws", "otel", "keyring", "tensorboard")
GROUPS: dict[str, tuple[str, ...]] = {
    "core": (),
    **dict.fromkeys(EXTRAS, ("core",)),
    "train": ("core", "local"),
    "dev": ("core", *EXTRAS),
    "client-tests": ("core", "formats", "ui"),
    "bench": (),
    "clients": (),
}
"""group → the groups that come with it"""


@dataclass(frozen=True)
class Pin:
    """One version of one package: the Pythons that it is for, the groups that need it, its files' hashes.

    A group is written `dev@3.12` where it needs the package on that Python alone.
    """

    name: str
    version: str
    pythons: tuple[str, ...]
    groups: tuple[str, ...]
    hashes: tuple[str, ...]

    def needed(self, group: str, python: str) -> bool:
        """Whether the group, or one that comes with it, needs this version on this Python."""
        wanted = (group, *GROUPS[group])
        return python in self.pythons and any(
            each in self.groups or f"{each}@{python}" in self.groups for each in wanted
        )

    def line(self, marker: str = "") -> str:
        """The requirement with its hashes, as pip reads it."""
        return " \\\n    ".join([f"{self.name}=={self.version}{marker}", *self.hashes]) + "\n"


def read(path: Path = LOCK) -> Iterator[Pin]:
    """The pins of the lock, in its order."""
    _, _, pins = path.read_text(encoding="utf-8").partition("\n\n# ")
    for block in pins.split("\n# "):
        groups, pin, *hashes = block.replace(" \\\n", "\n").split("\n")
        requirement, _, marker = pin.partition(" ; ")
        name, _, version = requirement.partition("==")
        pythons = tuple(re.findall(r"\d\.\d+", marker)) or PYTHONS
        yield Pin(name, version, pythons, tuple(groups.split()), tuple(filter(None, map(str.strip, hashes))))


def choose(group: str, python: str, without: str | None = None, only: tuple[str, ...] = ()) -> list[Pin]:
    """What a group needs on a Python; without what another group has there; only the packages named."""
    return [
        pin
        for pin in read()
        if pin.needed(group, python)
        and not (without and pin.needed(without, python))
        and (not only or pin.name in only)
    ]


def main() -> int:
    """Print the choice; 1 where the lock has nothing for it."""
    parser = argparse.ArgumentParser(description="Prints what is pinned for a group, with hashes.")
    parser.add_argument("group", choices=GROUPS)
    parser.add_argument("--python", choices=PYTHONS, default=".".join(map(str, sys.version_info[:2])))
    parser.add_argument("--without", choices=GROUPS, help="leave out what this group has")
    parser.add_argument("--only", nargs="+", default=[], help="these packages alone")
    asked = parser.parse_args()
    if asked.python not in PYTHONS:
        parser.error(f"expected Python {', '.join(PYTHONS)}, got {asked.python}; name one by --python")
    chosen = choose(asked.group, asked.python, asked.without, tuple(asked.only))
    missing = set(asked.only) - {pin.name for pin in chosen}
    if missing:
        parser.error(f"expected {', '.join(sorted(missing))} among what {asked.group} needs, got none")
    sys.stdout.writelines(pin.line() for pin in chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
