"""A small drawn catalog, for machines where no real one can be fetched: coloured shapes with names."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image, ImageDraw

SIDE = 128  # pixels
COLOURS = {
    "red": "#c8102e",
    "orange": "#f28c28",
    "yellow": "#f6d13a",
    "green": "#2e8b57",
    "blue": "#1f5fbf",
    "purple": "#6a3d9a",
    "brown": "#7b4a2b",
    "black": "#222222",
}
SHAPES = ["ball", "box", "kite", "plate", "ladder", "flag"]


def write_catalog(folder: Path) -> Path:
    """Write one product for each colour and shape below `folder` and return the catalog's path."""
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    lines = []
    for shape in SHAPES:
        for colour, fill in COLOURS.items():
            identifier = f"{colour}-{shape}"
            _draw(shape, fill).save(pictures / f"{identifier}.png")
            record = {
                "id": identifier,
                "title": f"{colour.capitalize()} {shape}",
                "category": shape,
                "image": f"pictures/{identifier}.png",
                "colour": colour,
            }
            lines.append(json.dumps(record))
    catalog = folder / "catalog.jsonl"
    catalog.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return catalog


def _draw(shape: str, fill: str) -> Image.Image:
    picture = Image.new("RGB", (SIDE, SIDE), "white")
    pen = ImageDraw.Draw(picture)
    if shape == "ball":
        pen.ellipse((24, 24, 104, 104), fill=fill)
    elif shape == "box":
        pen.rectangle((28, 44, 100, 104), fill=fill, outline="black", width=3)
    elif shape == "kite":
        pen.polygon([(64, 12), (104, 56), (64, 116), (24, 56)], fill=fill, outline="black")
    elif shape == "plate":
        pen.ellipse((12, 48, 116, 88), fill=fill, outline="black", width=3)
        pen.ellipse((34, 57, 94, 79), outline="black", width=2)
    elif shape == "ladder":
        for x in (40, 80):
            pen.rectangle((x, 12, x + 8, 116), fill=fill)
        for y in range(24, 112, 18):
            pen.rectangle((40, y, 88, y + 6), fill=fill)
    else:
        pen.rectangle((28, 12, 34, 118), fill="black")
        pen.rectangle((34, 16, 108, 64), fill=fill)
    return picture
