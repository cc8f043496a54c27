"""A copy of the checkout, so that the user's own .env, certificates and models stay as they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from containers.bases import PYTHON_VERSION, ROOT, VERSION


def copied(target: Path) -> Path:
    """Every file that git knows or would, with its time; and `.venv` as a link."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    for name in filter(None, listed.split("\0")):
        # The library's links to folders at the top are files to git; as links they lead into the copy.
        if (ROOT / name).is_symlink() or (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    (target / ".venv").symlink_to(ROOT / ".venv")
    # The environment is the checkout's, and make must not set it up again for the copy.
    for name in ("pyproject.toml", "scripts/setup.sh", "requirements/lock.txt", "requirements/choose.py"):
        os.utime(target / name, (0, 0))
    target.chmod(0o755)
    return target


def plugin(target: Path) -> None:
    """The zip for this OpenSearch, built in the checkout and copied, so that it is built once."""
    subprocess.run(["make", "--silent", "plugin", f"OPENSEARCH_VERSION={VERSION}"], cwd=ROOT, check=True)
    made = Path("plugin", "target", f"mmsearch-{VERSION}.0.zip")
    (target / made).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(ROOT / made, target / made)


def environment(target: Path) -> dict[str, str]:
    """What these base images need to be said, as a user says it in .env; and where the commands are."""
    return {
        "PATH": os.pathsep.join((str(target / ".venv" / "bin"), os.environ["PATH"])),
        "COMPOSE_FILE": f"{target}/docker-compose.yml:{Path(__file__).with_name('override.yml')}",
        "OPENSEARCH_VERSION": VERSION,
        "PYTHON_VERSION": PYTHON_VERSION,
        "MMSEARCH_KNN_ENGINE": "lucene",
        "OPENSEARCH_HEAP": "1g",
        "OPENSEARCH_MEMORY": "3g",
        "OPENSEARCH_CPUS": str(min(2, os.cpu_count() or 1)),
        "TRITON_CPUS": str(min(2, os.cpu_count() or 1)),
        "MMSEARCH_HOME": str(target / ".mmsearch"),
    }
