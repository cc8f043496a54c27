"""What the benches compare with: requirements/bench.in, put under build/peers at its first use."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "peers"


def has(package: str) -> bool:
    """Whether a package can be imported from now on, after trying to install all of them."""
    choose = [sys.executable, str(ROOT / "requirements" / "choose.py"), "bench", "--without", "dev"]
    pins = subprocess.run(choose, check=True, capture_output=True).stdout
    installed = FOLDER / "installed.txt"
    if not installed.is_file() or installed.read_bytes() != pins:
        uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--no-deps"]
        done = subprocess.run(
            [*uv, "--require-hashes", "--target", str(FOLDER), "-r", "-"], input=pins, check=False
        )
        if done.returncode == 0:
            installed.write_bytes(pins)
    if str(FOLDER) not in sys.path:
        # Behind the environment's own: what both have is the environment's.
        sys.path.append(str(FOLDER))
    return find_spec(package) is not None


def program(name: str) -> Path | None:
    """A peer's program, or None where it cannot be had."""
    has(name.replace("-", "_"))
    path = FOLDER / "bin" / name
    return path if path.is_file() else None
