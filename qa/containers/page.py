"""docs/containers.md as commands, by section."""

from __future__ import annotations

import re
from pathlib import Path


def sections(page: Path) -> dict[str, list[str]]:
    """The commands of each section that has any, a line each, in the page's order."""
    found: dict[str, list[str]] = {}
    for title, text in re.findall(
        r"^## (.+?)\n(.*?)(?=^## |\Z)", page.read_text(encoding="utf-8"), re.M | re.S
    ):
        blocks = re.findall(r"^```console\n(.*?)^```", text, re.M | re.S)
        lines = [line for block in blocks for line in block.splitlines() if line.strip()]
        if lines:
            found[title] = lines
    return found
