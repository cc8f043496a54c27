"""Labelled pictures that teach: emoji of CLDR and a font, no near-duplicates, what they are asked by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fusion_study import auxiliary_images
from fusion_study.auxiliary_images import AuxiliaryImages
from fusion_study.study import Half, Study
from numpy.typing import NDArray
from PIL import Image, ImageFont
from sample_data.emoji import described, draw
from sample_data.openclipart import Clipart, Collection

from mmsearch.models.architecture import Architecture
from mmsearch.models.fusion.base import unit
from mmsearch.training.objective import Features

from ..fakes.small_training import drawn, fresh, small

CLDR = """<ldml><annotations>
<annotation cp="🐈">Cat | pet | 123</annotation>
<annotation cp="🐈" type="tts">cat</annotation>
<annotation cp="🐈‍⬛" type="tts">black cat</annotation>
<annotation cp="👍🏽" type="tts">thumbs up: medium skin tone</annotation>
<annotation cp="👍🏽">thumb | up</annotation>
<annotation cp="🇫🇷" type="tts">flag: France</annotation>
<annotation cp="{" type="tts">open curly bracket</annotation>
<annotation cp="🦄">horn</annotation>
</annotations></ldml>"""


def test_annotations_without_tones_flags_ascii_and_nameless() -> None:
    assert described(CLDR) == {"🐈": ("cat", ("cat", "pet")), "🐈‍⬛": ("black cat", ())}


def test_only_single_pictures_that_the_font_has_are_drawn(tmp_path: Path) -> None:
    font = ImageFont.load_default(size=40)
    assert isinstance(font, ImageFont.FreeTypeFont)
    draw(["A", "WWWW", "\u4e01", "B"], font, tmp_path / "emoji")
    assert sorted(file.name for file in (tmp_path / "emoji").iterdir()) == ["41.png", "42.png"]
    assert np.asarray(Image.open(tmp_path / "emoji" / "41.png")).min() < 128


def picture(number: int, *keywords: str) -> Clipart:
    return Clipart(f"p{number}", f"title {number}", keywords, Path(__file__))


def hashes(*flipped: int) -> NDArray[np.bool_]:
    """One hash a number: the first so many bits of 240 set."""
    return np.arange(240) < np.array(flipped)[:, None]


def test_near_duplicates_teach_nothing() -> None:
    pictures = [picture(number) for number in range(4)]
    left = AuxiliaryImages(pictures, hashes(0, 6, 7, 100)).unlike(hashes(0, 240))
    assert [kept.identifier for kept in left.pictures] == ["p2", "p3"]
    np.testing.assert_array_equal(left.hashes, hashes(7, 100))


def test_asked_by_title_and_keywords(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"title 0": [1.0, 0, 0], "title 1": [0, 1.0, 0], "cat": [0, 0, 1.0], "pet": [0, 0.6, 0.8]}

    def of_texts(_: object, asked: list[str], precision: str) -> NDArray[np.float32]:
        assert precision == "fp32"
        return np.array([texts[text] for text in asked], np.float32)

    monkeypatch.setattr(auxiliary_images, "exported", lambda *_: None)
    monkeypatch.setattr(auxiliary_images, "text_features", of_texts)
    monkeypatch.setattr(auxiliary_images, "picture_features", lambda *_: np.ones((2, 5), np.float32))
    lessons = AuxiliaryImages([picture(0, "cat", "pet"), picture(1)], hashes(0, 100))
    image, asked = lessons.features(small("4tmm_gated"), print)
    middle = unit(torch.tensor([[0, 0.6, 1.8]]))
    torch.testing.assert_close(
        asked, unit(torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]) + torch.cat([middle, torch.zeros(1, 3)]))
    )
    assert image.shape == (2, 5)
    monkeypatch.setattr(
        auxiliary_images, "picture_features", lambda *_: np.array([[0] * 5, [1] * 5], np.float32)
    )
    whole, by = lessons.features(small("4tmm_gated"), print)  # the first does not decode
    assert whole.shape == (1, 5)
    torch.testing.assert_close(by, asked[1:])
    nothing, by = lessons.features(small("bibert_mlp"), print)
    assert len(nothing) == len(by) == 0


class Drawn(Study):
    """A study over drawn features, in place of what the towers say."""

    def half(
        self,
        architecture: Architecture,
        pool: Half,
        shuffle: int | None = None,
        precision: str = "fp32",
        moving: Any = None,
    ) -> Features:
        return drawn(architecture, pool.side)


class DrawnAuxiliaryImages(AuxiliaryImages):
    """Auxiliary images whose features are drawn: each a number of its own."""

    def unlike(self, hashes: NDArray[np.bool_]) -> AuxiliaryImages:
        left = super().unlike(hashes)
        return DrawnAuxiliaryImages(left.pictures, left.hashes)

    def features(
        self, architecture: Architecture, say: object, precision: str = "fp32"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        numbers = torch.tensor([[float(kept.identifier[1:])] for kept in self.pictures])
        return numbers.expand(-1, 40) / 100 + 0.1, unit(torch.cat([numbers, torch.ones(len(numbers), 15)], 1))


def test_a_lesson_leaves_out_what_resembles_the_other_fold_and_the_map_learns_from_the_rest() -> None:
    pools = [
        Half(side, np.array([side]), [], np.zeros((0, 1), bool), np.zeros((0, 1), bool)) for side in (0, 1)
    ]
    data = Collection([], np.array([0, 1]), {}, {}, hashes(0, 240))
    lessons = DrawnAuxiliaryImages(
        [picture(number) for number in range(9)], hashes(0, 50, 60, 70, 80, 90, 100, 110, 240)
    )
    study = Drawn(data, pools, print, lessons)
    architecture = small("3tmm_mlp")
    straight, shuffled = study.lesson(architecture, 0), study.lesson(architecture, 0, shuffle=1)
    assert len(straight.auxiliary_image) == len(straight.auxiliary_queries) == 8
    assert not (straight.auxiliary_image == 0.1).any()  # p0 resembles the fold that is asked about
    assert (study.lesson(architecture, 1).auxiliary_image == 0.1).any()
    assert not torch.equal(straight.auxiliary_image, shuffled.auxiliary_image)
    assert torch.equal(straight.auxiliary_image.sum(0), shuffled.auxiliary_image.sort(0).values.sum(0))
    assert torch.equal(straight.auxiliary_queries, shuffled.auxiliary_queries)
    untaught = replace(straight, auxiliary_image=torch.zeros(0, 0), auxiliary_queries=torch.zeros(0, 0))
    with_them, without = (each.fitted(fresh("3tmm_mlp")).item_image for each in (straight, untaught))
    assert with_them.shape == without.shape
    assert not torch.allclose(with_them, without)
