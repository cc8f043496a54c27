"""A program in an interpreter that lacks a package."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
sys.modules[{package!r}] = None
import mmsearch
try:
    exec({code!r})
except mmsearch.MmsearchError as error:
    print(f"{{type(error).__name__}}: {{error}}")
"""


def lacking(package: str, code: str) -> str:
    """The MmsearchError that the code ends with where this package is not installed, with its class."""
    program = PROGRAM.format(package=package, code=code)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()
