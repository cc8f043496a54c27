"""The quick start's shop: its CSV as the page has it, and a drawn picture wherever the CSV names one."""

from __future__ import annotations

import base64
import csv
import re
from pathlib import Path

from sample_data import drawn

DOCS = Path(__file__).parents[2] / "docs"
LATE = "pictures/card.png"
"""the picture that is missing at first"""
PICTURE = "PICTURE"
"""stands in the pages' bodies for a picture in base64: here that of the plant"""


def rows() -> list[dict[str, str]]:
    """The rows of shop.csv, by the shop's own column names."""
    return list(csv.DictReader(text().splitlines(), delimiter=";"))


def text() -> str:
    (block,) = re.findall(
        r"<!-- file: shop\.csv -->\n```csv\n(.*?)```",
        (DOCS / "quickstart.md").read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert isinstance(block, str)
    return block


def write(folder: Path) -> Path:
    """Write shop.csv and its pictures below `folder`; the CSV's path."""
    shapes = [
        (shape, fill) for fill in drawn.COLOURS.values() for shape in ("box", "plate", "kite", "ladder")
    ]
    for row, (shape, fill) in zip(rows(), shapes, strict=False):
        if row["img"] and row["img"] != LATE:
            (folder / row["img"]).parent.mkdir(parents=True, exist_ok=True)
            drawn._draw(shape, fill).save(folder / row["img"])
    (folder / "shop.csv").write_text(text(), encoding="utf-8")
    return folder / "shop.csv"


def fix(folder: Path) -> None:
    """Put the missing picture where the CSV names it."""
    drawn._draw("flag", "#7b4a2b").save(folder / LATE)


def picture(folder: Path) -> str:
    """What PICTURE stands for, in base64."""
    return base64.b64encode((folder / "pictures" / "plant.png").read_bytes()).decode()
