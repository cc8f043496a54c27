"""Data that Debian packages ship: download one without installing it, and unpack it into a folder.

apt checks the archive's signature and the package's hash; nothing is installed and no root is needed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from mmsearch.errors import MmsearchError


def available() -> bool:
    """Whether this machine can download Debian packages."""
    return shutil.which("apt-get") is not None and shutil.which("dpkg-deb") is not None


def unpacked(package: str, cache: Path) -> Path:
    """The folder that holds `package`'s files below `cache`, downloaded and unpacked on the first call."""
    target = cache / "debian" / package
    if target.is_dir():
        return target
    if not available():
        raise MmsearchError(
            f"expected apt-get and dpkg-deb to fetch the Debian package {package}, found neither; "
            "run this on Debian or Ubuntu"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        deb = _download(package, Path(scratch))
        files = Path(scratch) / "files"
        subprocess.run(["dpkg-deb", "-x", str(deb), str(files)], check=True, capture_output=True)
        try:
            files.rename(target)
        except OSError:  # another process was first; its files are the same
            if not target.is_dir():
                raise
    return target


def _download(package: str, folder: Path) -> Path:
    """`package`'s .deb in `folder`; as root, the package lists are fetched when apt has none."""
    command = ["apt-get", "download", "-qq", package]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode != 0 and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], capture_output=True, check=False)
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = sorted(folder.glob("*.deb"))
    if result.returncode != 0 or not found:
        reason = result.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise MmsearchError(
            f"expected apt-get to download {package}, it said: {reason[0]}; "
            "run `sudo apt-get update` and try again"
        )
    return found[0]
