"""The lists of applications that Debian publishes beside its packages, and their icons.

Two packages hold the settings by which apt fetches them (`appstream`, `apt-config-icons-large`). apt checks
the archive's signature and each list's hash; the machine's own lists stay as they are, and no root is needed.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mmsearch.errors import MmsearchError
from sample_data.debian import available, unpacked

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
        _fetch(target, cache)
    found = Lists(tuple(sorted(target.glob(COMPONENTS))), tuple(sorted(target.glob(ICONS))))
    if not found.components or not found.icons:
        raise MmsearchError(
            f"expected apt's sources to have lists of applications and their icons, got none in {target}; "
            "name Debian's main archive in /etc/apt, remove that folder, and run it again"
        )
    return found


def _fetch(target: Path, cache: Path) -> None:
    if not available():
        raise MmsearchError(
            "expected apt-get and dpkg-deb to fetch Debian's lists of applications, found neither; run this "
            "on Debian or Ubuntu"
        )
    folders = [unpacked(package, cache) / PARTS for package in SETTINGS]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        folder = Path(scratch)
        settings = _settings(folder, [file for each in folders for file in sorted(each.iterdir())])
        result = subprocess.run(
            ["apt-get", "update", "-qq"],
            env={**os.environ, "APT_CONFIG": str(settings)},
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            reason = result.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise MmsearchError(
                f"expected apt-get to fetch Debian's lists of applications, it said: {reason[0]}; look at "
                "/etc/apt and try again"
            )
        kept = folder / "kept"
        kept.mkdir()
        for pattern in (COMPONENTS, ICONS):
            for file in (folder / "lists").glob(pattern):
                file.rename(kept / file.name)
        try:
            kept.rename(target)
        except OSError:  # another process was first; its files are the same
            if not target.is_dir():
                raise


def _settings(folder: Path, parts: list[Path]) -> Path:
    """apt's settings: the machine's own, `parts`, folders of ours, and no list but those of applications."""
    for name in ("lists/partial", "cache/archives/partial", "parts"):
        (folder / name).mkdir(parents=True)
    # The machine's settings may hold what its network needs. apt reads the parts in the order of their names.
    own = sorted(file for file in Path("/etc/apt/apt.conf.d").glob("*") if file.is_file())
    for number, part in enumerate([*own, *parts]):
        (folder / "parts" / f"{number:03}{part.name}").write_bytes(part.read_bytes())
    last = [
        f'Dir::State::lists "{folder / "lists"}";',
        f'Dir::Cache "{folder / "cache"}";',
        'APT::Sandbox::User "root";',  # apt's own user may not reach this folder
        'Acquire::Languages "none";',
        'Acquire::IndexTargets::deb::Packages::DefaultEnabled "false";',
        "#clear APT::Update::Pre-Invoke;",
        "#clear APT::Update::Post-Invoke;",
        "#clear APT::Update::Post-Invoke-Success;",
    ]
    (folder / "parts" / "999last").write_text("\n".join(last) + "\n", encoding="utf-8")
    settings = folder / "apt.conf"
    settings.write_text(f'Dir::Etc::parts "{folder / "parts"}";\n', encoding="utf-8")
    return settings
