"""Lists that Debian publishes beside its packages, fetched by apt into a folder of ours.

apt checks the archive's signature and each list's hash; the machine's own lists stay as they are, and no root
is needed.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mmsearch.errors import MmsearchError
from sample_data.debian import available


def fetch(
    target: Path, patterns: Sequence[str], *, parts: Sequence[Path] = (), languages: str = "none"
) -> None:
    """Fetch the lists whose names match `patterns` into the new folder `target`. Raises MmsearchError.

    `parts` are files of further settings for apt; `languages` are those of the descriptions of packages.
    """
    if not available():
        raise MmsearchError(
            "expected apt-get and dpkg-deb to fetch Debian's lists of applications, found neither; run this "
            "on Debian or Ubuntu"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        folder = Path(scratch)
        result = subprocess.run(
            ["apt-get", "update", "-qq"],
            env={**os.environ, "APT_CONFIG": str(_settings(folder, parts, languages))},
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
        for pattern in patterns:
            for file in (folder / "lists").glob(pattern):
                file.rename(kept / file.name)
        try:
            kept.rename(target)
        except OSError:  # another process was first; its files are the same
            if not target.is_dir():
                raise


def _settings(folder: Path, parts: Sequence[Path], languages: str) -> Path:
    """apt's settings: the machine's own, `parts`, folders of ours, and no list of packages."""
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
        "#clear Acquire::Languages;",
        f'Acquire::Languages "{languages}";',
        'Acquire::IndexTargets::deb::Packages::DefaultEnabled "false";',
        "#clear APT::Update::Pre-Invoke;",
        "#clear APT::Update::Post-Invoke;",
        "#clear APT::Update::Post-Invoke-Success;",
    ]
    (folder / "parts" / "999last").write_text("\n".join(last) + "\n", encoding="utf-8")
    settings = folder / "apt.conf"
    settings.write_text(f'Dir::Etc::parts "{folder / "parts"}";\n', encoding="utf-8")
    return settings
