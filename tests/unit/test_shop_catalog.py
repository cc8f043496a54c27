"""The shop of `bench shop`: pictures and texts of the size that is asked for, the same in each run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sample_data import shop, software

from mmsearch.errors import MmsearchError

SENTENCE = "It draws lines and circles in any colour."
"""eight words"""


def words(text: str) -> int:
    return len(text.split())


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """What the packages hold: a stamp, a drawing, a small stamp, a photograph, and three applications."""
    debian = tmp_path / "cache" / "debian"
    stamps = debian / shop.STAMPS / shop.STAMP_FOLDER
    draw = np.random.default_rng(0)
    for name, side in (("animals/goat.png", 200), ("town/cartoon/house.png", 200), ("food/nut.png", 20)):
        (stamps / name).parent.mkdir(parents=True)
        Image.fromarray(draw.integers(0, 256, (side, side, 4), np.uint8)).save(stamps / name)
    for package, folder in shop.WALLPAPERS.items():
        (debian / package / folder).mkdir(parents=True)
    photograph = Image.fromarray(draw.integers(0, 256, (1000, 1100, 3), np.uint8))
    photograph.save(debian / "mate-backgrounds" / shop.WALLPAPERS["mate-backgrounds"] / "dune.jpg")
    applications = [
        software.Application(
            identifier=name, package=name, names={"en": name.capitalize()}, summaries={}, keywords={},
            descriptions={"en": "\n".join([SENTENCE] * sentences)}, categories=["Graphics"], developer="",
            license="", icon="",
        )
        for name, sentences in (("short", 7), ("fits", 8), ("long", 40))
    ]  # fmt: skip
    lines = "".join(json.dumps(asdict(each)) + "\n" for each in applications)
    (debian / "applications.jsonl").write_text(lines, encoding="utf-8")
    return tmp_path / "cache"


def test_the_shop_has_photographs_and_descriptions_of_a_shops_size(cache: Path, tmp_path: Path) -> None:
    catalog = shop.write_catalog(tmp_path / "shop", cache, 2, words)

    products = [json.loads(line) for line in catalog.read_text(encoding="utf-8").splitlines()]
    assert [each["id"] for each in products] == ["shop-0", "shop-1"]
    # 7 sentences of 8 words are too few; 8 fit, and of 40 the first 15 are 120 words.
    assert {each["title"]: words(each["description"]) for each in products} == {"Fits": 64, "Long": 120}
    for each in products:
        with Image.open(catalog.parent / each["image"]) as picture:
            assert picture.format == "JPEG"
            assert 1200 <= max(picture.size) <= 1600


def test_the_same_count_gives_the_same_shop(cache: Path, tmp_path: Path) -> None:
    first, second = (shop.write_catalog(tmp_path / name, cache, 2, words) for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
    for name in ("0.jpg", "1.jpg"):
        one, two = ((each.parent / "pictures" / name).read_bytes() for each in (first, second))
        assert one == two


def test_drawings_and_small_stamps_are_left_out(cache: Path) -> None:
    stamps, wallpapers = shop.photographs(cache)
    assert [file.name for file in stamps] == ["goat.png"]
    assert [file.name for file in wallpapers] == ["dune.jpg"]


def test_a_shop_with_more_products_than_texts_is_refused(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(MmsearchError, match="expected 3 descriptions of 60 to 120 tokens, got 2;"):
        shop.write_catalog(tmp_path / "shop", cache, 3, words)
