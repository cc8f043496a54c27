"""Pictures as a tower sees them, and the ones that are refused."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mmsearch.serving.pictures.images import decode
from mmsearch.serving.pictures.pixels import Frame, PictureError

FRAME = Frame(32)


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def halves(width: int, height: int) -> Image.Image:
    """Red on the left, blue on the right."""
    picture = Image.new("RGB", (width, height), (255, 0, 0))
    picture.paste((0, 0, 255), (width // 2, 0, width, height))
    return picture


def near(pixel: np.ndarray, colour: tuple[int, int, int], off: int = 12) -> bool:
    return bool(np.all(np.abs(pixel.astype(int) - colour) <= off))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_each_format_is_read(kind: str) -> None:
    pixels = decode(encoded(halves(64, 64), kind), FRAME)
    assert (pixels.shape, pixels.dtype) == ((32, 32, 3), np.uint8)
    assert near(pixels[16, 4], (255, 0, 0), 30)
    assert near(pixels[16, 28], (0, 0, 255), 30)


def test_a_picture_of_the_towers_size_is_unchanged() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(pixels)), FRAME), pixels)


def test_the_whole_picture_is_kept_on_white_or_its_middle_fills_the_square() -> None:
    wide = encoded(halves(128, 32))
    padded = decode(wide, FRAME)
    assert near(padded[2, 16], (255, 255, 255))
    assert near(padded[16, 2], (255, 0, 0))
    cropped = decode(wide, Frame(32, "crop"))
    assert near(cropped[2, 4], (255, 0, 0))
    squashed = decode(wide, Frame(32, "squash"))
    assert near(squashed[2, 4], (255, 0, 0))
    with pytest.raises(ValueError, match="got 'stretch'"):
        Frame(32, "stretch")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode: str) -> None:
    clear = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    options = {"transparency": 0} if mode == "P" else {}
    picture = Image.new("P", (64, 64), 0) if mode == "P" else clear.convert(mode)
    assert near(decode(encoded(picture, **options), FRAME)[16, 16], (255, 255, 255))


def test_exif_turns_it_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise: what lies left comes up
    pixels = decode(encoded(halves(64, 64), "JPEG", exif=exif, quality=95), FRAME)
    assert near(pixels[4, 16], (255, 0, 0), 30)
    assert near(pixels[28, 16], (0, 0, 255), 30)


def test_cmyk_and_grey_become_rgb() -> None:
    cmyk = Image.new("CMYK", (64, 64), (0, 255, 255, 0))
    assert near(decode(encoded(cmyk, "JPEG", quality=95), FRAME)[16, 16], (255, 0, 0), 30)
    deep = Image.fromarray(np.full((64, 64), 32896, np.uint16))
    assert near(decode(encoded(deep), FRAME)[16, 16], (128, 128, 128), 2)


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    moving = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=10)
    assert near(decode(moving, FRAME)[16, 16], (255, 0, 0))


@pytest.mark.parametrize("fit", ["pad", "crop", "squash"])
def test_shrinking_in_strips_gives_what_shrinking_at_once_gives(fit: str) -> None:
    smooth = np.linspace(0, 255, 301 * 519 * 3).reshape(301, 519, 3).astype(np.uint8)
    once = Image.fromarray(smooth).resize((32, 32), Image.Resampling.BICUBIC, reducing_gap=None)
    pixels = decode(encoded(Image.fromarray(smooth)), Frame(32, fit))
    if fit == "squash":
        assert np.abs(pixels.astype(int) - np.asarray(once, int)).mean() < 4
    assert pixels.std() > 40


def claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims a size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (8_000, 8_000), (40_000, 2)])
def test_a_picture_is_refused_by_the_size_it_claims(width: int, height: int) -> None:
    with pytest.raises(PictureError, match=f"got {width} x {height}"):
        decode(claims(width, height), FRAME)


@pytest.mark.parametrize(
    "data",
    [b"no picture", b"", encoded(halves(64, 64))[:80], encoded(halves(64, 64), "JPEG")[:200],
     encoded(halves(8, 8), "BMP"), encoded(halves(8, 8), "TIFF")],
    ids=["text", "empty", "cut PNG", "cut JPEG", "BMP", "TIFF"],
)  # fmt: skip
def test_what_is_no_whole_picture_of_a_known_format_is_refused(data: bytes) -> None:
    with pytest.raises(PictureError, match="expected a whole JPEG, PNG, WebP or GIF"):
        decode(data, FRAME)
