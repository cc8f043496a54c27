"""The lists of applications that Debian publishes beside its packages, and their icons.

Two packages hold the settings by which apt fetches them (`appstream`, `apt-config-icons-large`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmsearch.errors import MmsearchError
from sample_data import apt_lists
from sample_data.debian import unpacked

# In this order: the second switches on what the first defines.
SETTINGS = ("appstream", "apt-config-icons-large")
PARTS = Path("etc/apt/apt.conf.d")
COMPONENTS, ICONS = "*_dep11_Components-*.yml.gz", "*_dep11_icons-128x128.tar.gz"


@dataclass(frozen=True, slots=True)
class Lists:
    """Files of applications (YAML, gzip) and archives of their icons (tar, gzip)."""

    components: tuple[Path, ...]
    icons: tuple[Path, ...]


def lists(cache: Path) -> Lists:
    """The lists below `cache`, fetched on the first call. Raises MmsearchError where apt has none."""
    target = cache / "debian" / "applications"
    if not target.is_dir():
        folders = [unpacked(package, cache) / PARTS for package in SETTINGS]
        parts = [file for each in folders for file in sorted(each.iterdir())]
        apt_lists.fetch(target, (COMPONENTS, ICONS), parts=parts)
    found = Lists(tuple(sorted(target.glob(COMPONENTS))), tuple(sorted(target.glob(ICONS))))
    if not found.components or not found.icons:
        raise MmsearchError(
            f"expected apt's sources to have lists of applications and their icons, got none in {target}; "
            "name Debian's main archive in /etc/apt, remove that folder, and run it again"
        )
    return found
