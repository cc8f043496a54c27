"""A copy of what the package is built from, so that a build leaves nothing in the checkout."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINKED = ("cli", "ingest", "model_repository", "opensearch")
"""folders at the top that are linked into the library"""
BUILT_FROM = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "requirements", "src", *LINKED)


def copy_sources(tree: Path) -> Path:
    """Make the folder and copy them there, without what earlier builds left."""
    tree.mkdir()
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "packaged", "*.zip")
            shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, tree)
    return tree
