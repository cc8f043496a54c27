"""Pins `NAME.in` as `NAME.txt`: exact versions, of each package the files that Python 3.11 and 3.12 take.

.venv/bin/python tests/foreign/pins/resolve.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
UV = Path(sys.executable).with_name("uv")
PLATFORMS = ("manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "linux_x86_64")
BUILT = {"benchmark": ["thespian"]}
"""of an environment, the packages that are published as sources alone"""


def main() -> None:
    for group in sorted(HERE.glob("*.in")):
        with tempfile.TemporaryDirectory() as scratch:
            plain = Path(scratch) / "plain.txt"
            run(UV, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python-version", "3.11",
                "--python-platform", "x86_64-manylinux_2_34", "--output-file", plain, group)  # fmt: skip
            files: dict[str, set[str]] = {}
            for python in ("3.11", "3.12"):
                for package in chosen(plain, python, BUILT.get(group.stem, []), Path(scratch)):
                    (digest,) = [package["download_info"]["archive_info"]["hashes"]["sha256"]]
                    name = package["metadata"]["name"].lower().replace("_", "-").replace(".", "-")
                    files.setdefault(f"{name}=={package['metadata']['version']}", set()).add(digest)
        lines = [
            " ".join([pin, *(f"--hash=sha256:{digest}" for digest in sorted(digests))]) + "\n"
            for pin, digests in sorted(files.items())
        ]
        group.with_suffix(".txt").write_text("".join(lines), encoding="utf-8")


def chosen(plain: Path, python: str, built: list[str], scratch: Path) -> list[dict[str, Any]]:
    """The file that pip takes of each package."""
    report = scratch / "report.json"
    run(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run",
        "--ignore-installed", "--no-deps", "--only-binary=:all:", *(f"--no-binary={name}" for name in built),
        "--python-version", python, *(f"--platform={platform}" for platform in PLATFORMS),
        "--target", scratch / "target", "--report", report, "--requirement", plain)  # fmt: skip
    found: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["install"]
    return found


def run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True)


if __name__ == "__main__":
    main()
