"""Training data that a package ships: Debian's openclipart, its titles and pictures with people's keywords.

The keywords are what people filed the pictures under, not purchases. A keyword is a query for a product
only where none of its stems stands in the title, so that words alone cannot find it.
"""

from __future__ import annotations

import html
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmsearch.serving.pictures.images import decode
from mmsearch.serving.pictures.pixels import Frame, PictureError
from mmsearch.training.words import stems, words
from sample_data.debian import unpacked
from sample_data.groups import difference_hash, groups

PNG, SVG = "openclipart-png", "openclipart-svg"
ROOT = Path("usr/share/openclipart")
_METADATA = re.compile(r"<metadata.*?</metadata>", re.DOTALL)
_TITLE = re.compile(r"<dc:title>(.*?)</dc:title>", re.DOTALL)
_KEYWORD = re.compile(r"<rdf:li>(.*?)</rdf:li>", re.DOTALL)
# What the collection's own tools filed, not people.
FILED = frozenset(
    {"hash", "clip art", "clipart", "image", "svg", "png", "externalsource", "unsorted", "icons"}
)
# A title that so many pictures share says nothing about any of them ("Lemon SVG theme").
MAX_SHARED_TITLE = 4
# Keywords filed under more products than this are kinds of picture ("icon"), not things looked for.
MAX_PRODUCTS = 200
HASHED_SIZE = 64


@dataclass(frozen=True, slots=True)
class Clipart:
    """One picture: `identifier` is its path without the ending, `picture` its file."""

    identifier: str
    title: str
    keywords: tuple[str, ...]
    picture: Path


@dataclass(frozen=True, slots=True)
class Collection:
    """Products with the group of each, and for each keyword the products that only a picture or a sense
    of meaning can find (`relevant`) and those whose title already has it (`named`); `hashes` bool [n, bits]
    are the pictures' difference hashes."""

    products: list[Clipart]
    group: NDArray[np.int64]
    relevant: dict[str, list[int]]
    named: dict[str, list[int]]
    hashes: NDArray[np.bool_]


def collection(cache: Path) -> Collection:
    """The whole collection, downloaded on the first call; the same on every machine."""
    found = sorted(_cliparts(unpacked(PNG, cache) / ROOT / "png", unpacked(SVG, cache) / ROOT / "svg"),
                   key=lambda clipart: clipart.identifier)  # fmt: skip
    shared = Counter(stems(clipart.title) for clipart in found)
    candidates = [clipart for clipart in found if shared[stems(clipart.title)] <= MAX_SHARED_TITLE]
    products, hashes = [], []
    for clipart in candidates:
        try:
            pixels = decode(clipart.picture.read_bytes(), Frame(HASHED_SIZE))
        except PictureError:
            continue  # as ingest would: a few drawings are rendered at hundreds of megapixels
        hashes.append(difference_hash(Image.fromarray(pixels)))
        products.append(clipart)
    group = groups(
        [clipart.title for clipart in products],
        [str(Path(clipart.identifier).parent) for clipart in products],
        np.array(hashes),
    )
    relevant: dict[str, list[int]] = defaultdict(list)
    named: dict[str, list[int]] = defaultdict(list)
    for number, clipart in enumerate(products):
        title = stems(clipart.title)
        for keyword in clipart.keywords:
            (named if stems(keyword) & title else relevant)[keyword].append(number)
    kept = {keyword: numbers for keyword, numbers in relevant.items() if len(numbers) <= MAX_PRODUCTS}
    return Collection(products, group, kept, {keyword: named[keyword] for keyword in kept}, np.array(hashes))


def write_catalog(data: Collection, folder: Path) -> tuple[Path, Path]:
    """Writes `catalog.jsonl` and `pairs.jsonl` (keyword, product, count 1) and returns both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    catalog, pairs = folder / "catalog.jsonl", folder / "pairs.jsonl"
    with catalog.open("w", encoding="utf-8") as stream:
        for clipart in data.products:
            record = {"id": clipart.identifier, "title": clipart.title, "image": str(clipart.picture)}
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")
    with pairs.open("w", encoding="utf-8") as stream:
        for keyword, numbers in sorted(data.relevant.items()):
            for number in numbers:
                pair = {"query": keyword, "product_id": data.products[number].identifier, "count": 1}
                stream.write(json.dumps(pair, ensure_ascii=False) + "\n")
    return catalog, pairs


def folds(group: NDArray[np.int64], seed: int = 0) -> NDArray[np.int64]:
    """0 or 1 for each product, whole groups together, the halves of about the same size."""
    numbers, sizes = np.unique(group, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(numbers))
    half: dict[int, int] = {}
    filled = [0, 0]
    for place in order:
        side = int(filled[1] < filled[0])
        half[int(numbers[place])] = side
        filled[side] += int(sizes[place])
    return np.array([half[int(number)] for number in group], np.int64)


def _cliparts(pictures: Path, drawings: Path) -> Iterator[Clipart]:
    seen: set[Path] = set()
    for picture in sorted(pictures.rglob("*.png")):
        real = picture.resolve()
        drawing = (drawings / picture.relative_to(pictures)).with_suffix(".svg")
        if real in seen or not real.is_file() or not drawing.is_file():
            continue
        seen.add(real)
        title, keywords = _described(drawing.read_text(encoding="utf-8", errors="replace"))
        if words(title) and keywords:
            yield Clipart(str(picture.relative_to(pictures).with_suffix("")), title, keywords, real)


def _described(drawing: str) -> tuple[str, tuple[str, ...]]:
    """The title and keywords in a drawing's metadata; empty where it has none."""
    metadata = _METADATA.search(drawing)
    if metadata is None:
        return "", ()
    title = _TITLE.search(metadata[0])
    keywords = {_plain(keyword).replace("_", " ").lower() for keyword in _KEYWORD.findall(metadata[0])}
    kept = sorted(keyword for keyword in keywords if keyword not in FILED and words(keyword))
    return _plain(title[1]) if title else "", tuple(kept)


def _plain(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())
