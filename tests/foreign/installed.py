"""Others' clients, installed under `build/foreign` at pinned versions, and their programs run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mmsearch.stack.java import choose

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROGRAMS = HERE / "programs"
FOLDER = ROOT / "build" / "foreign"
NOWHERE = "http://127.0.0.1:9"
"""The proxy for everything but this machine: a client that would call home is refused at once."""


def python() -> Path:
    """The interpreter of an environment with the Python clients, the group `clients` of requirements/."""
    return environment("clients", run([sys.executable, ROOT / "requirements" / "choose.py", "clients"]))


def benchmark() -> Path:
    """The interpreter of an environment with opensearch-benchmark; its pins hold for what is built too."""
    pins = HERE / "benchmark" / "requirements.txt"
    return environment("benchmark", pins.read_text(encoding="utf-8"), "--build-constraints", str(pins))


def environment(name: str, pins: str, *options: str) -> Path:
    """The interpreter of an environment that holds these packages and no others."""
    folder = FOLDER / name
    uv = Path(sys.executable).with_name("uv")
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.txt").write_text(pins, encoding="utf-8")
    if not (folder / "bin" / "python").exists():
        run([uv, "venv", "--quiet", "--python", sys.executable, folder])
    sync = [uv, "pip", "sync", "--quiet", "--require-hashes", *options, FOLDER / f"{name}.txt"]
    run(sync, VIRTUAL_ENV=str(folder))
    return folder / "bin" / "python"


def node() -> Path:
    """A folder whose `node_modules` hold what `package.json` names."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("expected node and npm on PATH, got none; repair: install Node.js 20 or newer")
    folder = FOLDER / "node"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "package.json", folder)
    run([npm, "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder)
    return folder


def java() -> list[str | Path]:
    """The command that runs the Java client's program, which is compiled here."""
    built = FOLDER / "java"
    pom = HERE / "java" / "pom.xml"
    goals = ["compiler:compile", "dependency:build-classpath"]
    run([ROOT / "scripts" / "maven.sh", "-q", "-B", f"-Dbuilt={built}", *goals], MMSEARCH_POM=str(pom))
    classpath = f"{built / 'classes'}:{(built / 'classpath').read_text(encoding='utf-8')}"
    return [choose().home / "bin" / "java", "-cp", classpath, "TypedClient"]


def run(command: list[str | Path], cwd: Path = ROOT, **environment: str) -> str:
    """What a command printed; its standard error is in the failure."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def local(**more: str) -> dict[str, str]:
    """The environment of a client that reaches this machine alone."""
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), NOWHERE)
    direct = dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost")
    quiet = {"HAYSTACK_TELEMETRY_ENABLED": "False", "NODE_NO_WARNINGS": "1"}
    return os.environ | proxies | direct | quiet | more


def program(command: list[str | Path], given: dict[str, Any], cwd: Path = ROOT) -> dict[str, Any]:
    """The JSON that a client's program printed, which was given this JSON."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=local(),
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-6000:]}"
    saw: dict[str, Any] = json.loads(done.stdout)
    return saw
