"""Labelled pictures of other collections, which teach the map from pictures to queries and nothing else.

Their titles and keywords are worded unlike the products' and make a text tower's adapters worse; what
pictures look like is much the same everywhere.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sample_data import furniture
from sample_data.emoji import emoji
from sample_data.groups import difference_hash, near_any
from sample_data.openclipart import HASHED_SIZE, Clipart
from torch import Tensor

from mmsearch.models.architecture import Architecture
from mmsearch.models.export.export_cache import exported
from mmsearch.models.fusion.base import present, unit
from mmsearch.serving.pictures.images import decode
from mmsearch.serving.pictures.pixels import Frame
from mmsearch.training.features import picture_features, text_features
from mmsearch.training.pairs import Say


@dataclass(frozen=True, slots=True)
class AuxiliaryImages:
    """Pictures with titles and keywords, and their difference hashes, bool [n, bits]."""

    pictures: list[Clipart]
    hashes: NDArray[np.bool_]

    def unlike(self, hashes: NDArray[np.bool_]) -> AuxiliaryImages:
        """Without the pictures that are near-duplicates of any of those with `hashes`, bool [m, bits]."""
        kept = np.flatnonzero(~near_any(self.hashes, hashes))
        return AuxiliaryImages([self.pictures[place] for place in kept], self.hashes[kept])

    def features(
        self, architecture: Architecture, say: Say, precision: str = "fp32"
    ) -> tuple[Tensor, Tensor]:
        """The tower's features, float32 [n, ·], and what each picture is asked by, float32 [n, ·].

        A picture that does not decode is left out. What one is asked by is the middle of its title and the
        middle of its keywords, each at length 1.
        """
        tower = architecture.tower("clip_image")
        words = architecture.tower("clip_text") or architecture.tower("bibert_query")
        if tower is None or words is None or not self.pictures:
            return torch.zeros(0, 0), torch.zeros(0, 0)

        def broken(number: int, why: str) -> None:
            say(f"{self.pictures[number].identifier} teaches nothing: {why}")

        encoded = [picture.picture.read_bytes() for picture in self.pictures]
        image = torch.from_numpy(picture_features(exported(architecture, tower, say), encoded, broken))
        said = [keyword for picture in self.pictures for keyword in picture.keywords]
        of = [number for number, picture in enumerate(self.pictures) for _ in picture.keywords]
        titles = [picture.title for picture in self.pictures]
        read = exported(architecture, words, say, precision)
        text = torch.from_numpy(text_features(read, titles + said, precision))
        title, keywords = text[: len(titles)], text[len(titles) :]
        middle = torch.zeros_like(title).index_add_(0, torch.tensor(of, dtype=torch.int64), keywords)
        there = present(image).squeeze(1) > 0
        return image[there], unit(title + unit(middle))[there]


def auxiliary_images(cache: Path) -> AuxiliaryImages:
    """Emoji and furniture, downloaded on the first call."""
    pictures = [*emoji(cache), *_furniture(cache)]
    return AuxiliaryImages(pictures, np.array([_hash(picture.picture) for picture in pictures]))


def _furniture(cache: Path) -> list[Clipart]:
    folder = cache / "furniture"
    catalog = furniture.write_catalog(folder, cache)
    return [
        Clipart(
            str(record["id"]),
            str(record["title"]),
            tuple(str(word).lower() for word in (*record.get("tags", ()), record["category"])),
            folder / str(record["image"]),
        )
        for record in map(json.loads, catalog.read_text(encoding="utf-8").splitlines())
    ]


def _hash(picture: Path) -> NDArray[np.bool_]:
    return difference_hash(Image.fromarray(decode(picture.read_bytes(), Frame(HASHED_SIZE))))
