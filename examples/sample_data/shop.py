"""A synthetic shop: photographs and texts of the size that shops have, from what Debian packages ship.

A picture is a photo stamp of Tux Paint on a drawn ground, or a part of a photographed wallpaper, as a JPEG
with a long side of 1200 to 1600 pixels and a quality of 85 to 92. A text is the name of a desktop
application and the start of its description, by whole sentences. Texts and pictures have nothing to do with
each other: the catalog is for measuring speed.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from mmsearch.errors import MmsearchError
from sample_data import software
from sample_data.debian import unpacked

STAMPS = "tuxpaint-stamps-default"
STAMP_FOLDER = Path("usr/share/tuxpaint/stamps")
DRAWINGS = frozenset(("cartoon", "symbols", "flags", "roadsigns"))
"""folders of stamps that are no photographs"""
WALLPAPERS = {
    "mate-backgrounds": "usr/share/backgrounds/mate/nature",
    "lomiri-wallpapers-16.04": "usr/share/backgrounds",
    "lomiri-wallpapers-20.04": "usr/share/backgrounds",
}
"""package → its folder of photographs"""
LONG_SIDES = (1200, 1600)  # pixels
QUALITIES = (85, 92)
SHAPES = ((4, 5), (3, 4), (1, 1), (4, 3))
FEWEST_TOKENS, MOST_TOKENS = 60, 120
LEAST_STAMP, LEAST_WALLPAPER = 150, 900
"""pixels of the short side of what is enlarged or cut"""
GRAIN = 3.0
"""standard deviation of the noise of a camera's sensor, of 255: what is enlarged has none left"""
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Text:
    """The words of a product."""

    title: str
    description: str
    category: str


def write_catalog(folder: Path, cache: Path, count: int, tokens: Callable[[str], int]) -> Path:
    """Write `catalog.jsonl` and `pictures/` below `folder` and return the catalog's path.

    `tokens` counts a text tower's tokens. The same count gives the same files. Raise MmsearchError where the
    packages have fewer texts than `count`.
    """
    texts = descriptions(cache, tokens)
    if len(texts) < count:
        raise MmsearchError(
            f"expected {count} descriptions of {FEWEST_TOKENS} to {MOST_TOKENS} tokens, got {len(texts)}; "
            "ask for fewer products"
        )
    stamps, wallpapers = photographs(cache)
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)

    def photographed(number: int) -> None:
        draw = random.Random(number)  # noqa: S311 - a drawing, not a secret
        # Two thirds are products on a ground, as shops show them.
        made = on_ground(draw.choice(stamps), draw) if number % 3 else part_of(draw.choice(wallpapers), draw)
        made.save(pictures / f"{number}.jpg", quality=draw.randint(*QUALITIES))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(photographed, range(count)))
    catalog = folder / "catalog.jsonl"
    lines = (
        json.dumps(
            {
                "id": f"shop-{number}",
                "title": text.title,
                "description": text.description,
                "category": text.category,
                "price": number % 400 + 0.95,
                "image": f"pictures/{number}.jpg",
            },
            ensure_ascii=False,
        )
        for number, text in enumerate(texts[:count])
    )
    catalog.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return catalog


def descriptions(cache: Path, tokens: Callable[[str], int]) -> list[Text]:
    """The applications whose description has at least so many tokens, cut after a sentence at the most."""
    found = []
    for each in software.applications(cache):
        record = each.record(software.ENGLISH, keywords=False)
        kept = _start(str(record.get("description", "")), tokens)
        if tokens(kept) >= FEWEST_TOKENS:
            found.append(Text(str(record["title"]), kept, each.categories[0] if each.categories else "Other"))
    random.Random(0).shuffle(found)  # noqa: S311 - an order, not a secret
    return found


def _start(text: str, tokens: Callable[[str], int]) -> str:
    kept: list[str] = []
    for sentence in _SENTENCE.split(text):
        if tokens(" ".join([*kept, sentence])) > MOST_TOKENS:
            break
        kept.append(sentence)
    return " ".join(kept)


def photographs(cache: Path) -> tuple[list[Path], list[Path]]:
    """The files of photo stamps and of photographed wallpapers that are large enough."""
    root = unpacked(STAMPS, cache) / STAMP_FOLDER
    stamps = [
        file
        for file in sorted(root.rglob("*.png"))
        if DRAWINGS.isdisjoint(file.relative_to(root).parts) and _short_side(file) >= LEAST_STAMP
    ]
    wallpapers = [
        file
        for package, folder in WALLPAPERS.items()
        for file in sorted((unpacked(package, cache) / folder).glob("*.jpg"))
        if _short_side(file) >= LEAST_WALLPAPER
    ]
    return stamps, wallpapers


def on_ground(stamp: Path, draw: random.Random) -> Image.Image:
    """A stamp with its shadow on a ground whose colour changes from top to bottom."""
    width, height = _size(draw)
    above, below = (np.array([draw.randint(150, 255) for _ in range(3)]) for _ in range(2))
    fade = np.linspace(0, 1, height)[:, None, None]
    rows = (above + fade * (below - above)).astype(np.uint8)
    ground = Image.fromarray(rows.repeat(width, axis=1))
    thing = _opened(stamp, "RGBA")
    scale = 0.85 * min(width / thing.width, height / thing.height)
    thing = thing.resize(
        (max(1, int(thing.width * scale)), max(1, int(thing.height * scale))), Image.Resampling.BICUBIC
    )
    left, top = (width - thing.width) // 2, (height - thing.height) // 2
    shadow = Image.new("L", (width // 8, height // 8))
    foot, deep = top + thing.height, thing.height / 24
    edges = (left / 8, (foot - 2 * deep) / 8, (left + thing.width) / 8, (foot + deep) / 8)
    ImageDraw.Draw(shadow).ellipse(edges, fill=110)
    shade = shadow.filter(ImageFilter.GaussianBlur(6)).resize((width, height), Image.Resampling.BICUBIC)
    ground.paste((40, 40, 40), (0, 0), shade)
    ground.paste(thing, (left, top), thing)
    return _with_grain(ground, draw)


def part_of(wallpaper: Path, draw: random.Random) -> Image.Image:
    """A part of a photograph, at its own resolution or nearly."""
    width, height = _size(draw)
    photograph = _opened(wallpaper, "RGB")
    scale = min(1.0, photograph.width / width, photograph.height / height)
    across, down = int(width * scale), int(height * scale)
    left, top = draw.randint(0, photograph.width - across), draw.randint(0, photograph.height - down)
    cut = photograph.resize(
        (width, height), Image.Resampling.BICUBIC, box=(left, top, left + across, top + down)
    )
    return _with_grain(cut, draw)


def _size(draw: random.Random) -> tuple[int, int]:
    across, down = draw.choice(SHAPES)
    long = draw.randint(*LONG_SIDES)
    return long * across // max(across, down), long * down // max(across, down)


def _with_grain(picture: Image.Image, draw: random.Random) -> Image.Image:
    noise = _grain()
    top, left = (draw.randrange(len(noise) - side) for side in (picture.height, picture.width))
    bright = np.asarray(picture, np.int16) + noise[top : top + picture.height, left : left + picture.width]
    return Image.fromarray(bright.clip(0, 255).astype(np.uint8))


@lru_cache(maxsize=1)
def _grain() -> NDArray[np.int16]:
    """Noise that pictures take their parts of, int16 [side, side, 1]."""
    drawn = np.random.default_rng(0).normal(0, GRAIN, (2 * LONG_SIDES[1], 2 * LONG_SIDES[1], 1))
    return drawn.round().astype(np.int16)


@lru_cache(maxsize=64)
def _opened(file: Path, mode: str) -> Image.Image:
    """A photograph, decoded once."""
    with Image.open(file) as picture:
        return picture.convert(mode)


def _short_side(file: Path) -> int:
    with Image.open(file) as picture:
        return min(picture.size)
