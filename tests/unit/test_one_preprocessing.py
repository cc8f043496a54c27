"""An image has the same pixels in training, as a product, and as a query: every format, mode, size, turn."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from mmsearch.api.images import image_bytes
from mmsearch.images.preprocess import Prepared, Task, prepare
from mmsearch.models.export.export_cache import Exported
from mmsearch.serving.pictures.images import read
from mmsearch.serving.pictures.pixels import FITS, Frame, is_packed
from mmsearch.training import features

from .test_image_formats import swapped

Pixels = NDArray[np.uint8]
SIDE = 24
CASES = [
    *(("JPEG", mode) for mode in ("RGB", "L", "CMYK")),
    *(("PNG", mode) for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "I;16")),
    *(("WEBP", mode) for mode in ("RGB", "RGBA")),
    *(("GIF", mode) for mode in ("P", "L")),
    *(("AVIF", mode) for mode in ("RGB", "RGBA")),
    *(("TIFF", mode) for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "I;16", "I", "F", "CMYK", "LAB")),
    *(("BMP", mode) for mode in ("RGB", "L", "P", "1")),
]
TURNED = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF")
"""formats with EXIF"""


def in_training(data: bytes, frame: Frame, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Pixels:
    """What training gives the tower: here its features are the pixels, plus 1, since zeros are no image."""

    class Session:
        def run(self, names: None, feeds: dict[str, Pixels]) -> list[NDArray[np.float32]]:
            return [feeds["PIXELS"].reshape(len(feeds["PIXELS"]), -1).astype(np.float32) + 1]

    monkeypatch.setattr(features, "_session", lambda file: Session())
    monkeypatch.setenv("MMSEARCH_CACHE", str(folder / "cache"))
    numbers = {"size": frame.size, "fit": frame.fit}
    tower = SimpleNamespace(numbers=numbers, dimension=3 * frame.size**2, reads_pictures=True)
    exported = SimpleNamespace(tower=tower, folder=folder / "tower", onnx=lambda precision: folder)
    told: list[str] = []
    rows = features.picture_features(cast(Exported, exported), [data], lambda number, why: told.append(why))
    assert told == []
    return (rows - 1).reshape(frame.size, frame.size, 3).astype(np.uint8)


def as_a_product(data: bytes, frame: Frame, folder: Path) -> Pixels:
    """What the served model reads of the bytes that ingest sends."""
    (folder / "image").write_bytes(data)
    result = prepare(Task(("image",), ""), folder, frame)
    assert isinstance(result, Prepared), result
    (value,) = result.pictures
    assert is_packed(value)
    return read(value, frame)


def as_a_query(data: bytes, frame: Frame) -> Pixels:
    """What the served model decodes of a `query_image`."""
    value = image_bytes(data)
    assert not is_packed(value)
    return read(value, frame)


def made(kind: str, mode: str, size: tuple[int, int], turn: int, chance: np.random.Generator) -> bytes:
    """A smooth image with some noise, transparent in parts where the mode has alpha."""
    across, down = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
    smooth = np.stack([across, down, 255 - across], axis=2) + chance.normal(0, 12, (size[1], size[0], 3))
    scene = Image.fromarray(np.clip(smooth, 0, 255).astype(np.uint8))
    grey = np.asarray(scene.convert("L"))
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode in ("I", "F"):
        image = Image.fromarray(grey.astype(np.int32) * 200 if mode == "I" else grey.astype(np.float32) / 255)
    elif mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.buildTransform(srgb, lab, "RGB", "LAB").apply(scene)
    else:
        image = scene.convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.linear_gradient("L").resize(size))
    options: dict[str, Any] = {}
    if kind in TURNED:
        exif = Image.Exif()
        exif[0x0112] = turn
        options["exif"] = exif
    if kind in TURNED and mode in ("RGB", "RGBA") and chance.random() < 0.5:
        options["icc_profile"] = swapped()
    if kind in ("GIF", "PNG") and mode == "P" and chance.random() < 0.5:
        options["transparency"] = 3
    if kind == "AVIF":
        options["speed"] = 10
    if kind == "JPEG":
        options |= {"progressive": bool(chance.random() < 0.3), "subsampling": int(chance.integers(3))}
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(("kind", "mode"), CASES)
def test_an_image_has_the_same_pixels_wherever_it_is_read(
    kind: str, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = np.random.default_rng(sum((kind + mode).encode()))
    shapes = [(1, 1), (SIDE, SIDE), (7, 90), (400, 9)]
    shapes += [(int(chance.integers(2, 400)), int(chance.integers(2, 400))) for _ in range(9)]
    for number, size in enumerate(shapes):
        turn = 1 + number % 8 if kind in TURNED else 1
        frame = Frame(SIDE, FITS[number % len(FITS)])
        data = made(kind, mode, size, turn, chance)
        product = as_a_product(data, frame, tmp_path)
        which = f"{size} turned {turn} for {frame}"
        np.testing.assert_array_equal(as_a_query(data, frame), product, which)
        np.testing.assert_array_equal(in_training(data, frame, tmp_path, monkeypatch), product, which)
        if min(size) > SIDE:
            assert product.std() > 4, which  # pixels of the scene, and not one colour


@pytest.mark.parametrize("kind", ["AVIF", "TIFF", "BMP"])
def test_a_large_query_that_is_converted_has_nearly_the_pixels_of_the_product(
    kind: str, tmp_path: Path
) -> None:
    """Of more than 1,792 pixels it is reduced before it is sent."""
    data = made(kind, "RGB", (1900, 1800), 1, np.random.default_rng(5))
    frame = Frame(224)
    apart = as_a_query(data, frame).astype(int) - as_a_product(data, frame, tmp_path)
    assert np.abs(apart).mean() < 0.5


@pytest.mark.parametrize("kind", ["MPO", "PNG", "GIF", "WEBP", "AVIF", "TIFF"])
def test_of_several_images_in_a_file_all_read_the_first(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.BytesIO()
    first, *others = (Image.new("RGB", (90, 60), colour) for colour in ("red", "green", "blue"))
    first.save(out, kind, save_all=True, append_images=others)
    data, frame = out.getvalue(), Frame(SIDE, "crop")
    product = as_a_product(data, frame, tmp_path)
    assert np.allclose(product, (255, 0, 0), atol=4)
    np.testing.assert_array_equal(as_a_query(data, frame), product)
    np.testing.assert_array_equal(in_training(data, frame, tmp_path, monkeypatch), product)
