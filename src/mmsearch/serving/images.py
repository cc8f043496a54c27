"""Decode images to pixels, with checks before anything large is decoded."""

from __future__ import annotations

import io
import threading
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from .colours import PRINTED, WHITE, mend_transparency, on_white, rgb

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
MAX_PIXELS = 50_000_000
MAX_SIDE = 30_000
# Larger images are decoded one at a time, so that only one of them is in memory.
LARGE_PIXELS = 4_000_000
STRIP_ROWS = 16
# The operation that makes an image upright, by EXIF orientation.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pillow's own guard only warns between its two limits; this limit is stricter, and its message has the
# repair.
Image.MAX_IMAGE_PIXELS = None

_one_large = threading.Lock()


class PictureError(ValueError):
    """An image cannot be read. The message is one sentence: expected, got, repair."""


@dataclass(frozen=True, slots=True)
class Frame:
    """How an image is fitted to the tower's square of `size` pixels.

    `fit` is "pad" (the whole image on white), "crop" (center crop) or "squash" (stretched to the square).
    """

    size: int
    fit: str = "pad"

    def __post_init__(self) -> None:
        if self.fit not in ("pad", "crop", "squash"):
            raise ValueError(f"expected fit pad, crop or squash, got {self.fit!r}; correct the data file")


def decode(data: bytes, frame: Frame) -> NDArray[np.uint8]:
    """Decode one image (JPEG, PNG, WebP, first frame of a GIF) to RGB pixels.

    The image is rotated by its EXIF orientation, transparency is put on white, CMYK, gray and the colours of
    an ICC profile are converted to sRGB. Return uint8 of shape [size, size, 3]. Raise PictureError for other
    formats or too large images.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata is no reason to refuse the pixels
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                _check_size(picture)
                if picture.width * picture.height <= LARGE_PIXELS:
                    return _pixels(picture, data, frame)
                with _one_large:
                    return _pixels(picture, data, frame)
    except PictureError:
        raise
    except MemoryError:
        raise
    except Exception as error:
        # Pillow's decoders raise many types on invalid data: OSError, SyntaxError, struct.error…
        raise PictureError(
            f"expected a whole JPEG, PNG, WebP or GIF picture, got {len(data)} bytes that do not decode "
            f"({type(error).__name__}); send the unchanged picture file"
        ) from error


def _check_size(picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise PictureError(
            f"expected at most {MAX_PIXELS // 1_000_000} megapixels and sides of {MAX_SIDE}, "
            f"got {width} x {height}; send a smaller picture"
        )


def _pixels(picture: Image.Image, data: bytes, frame: Frame) -> NDArray[np.uint8]:
    if picture.format == "JPEG" and picture.mode in ("RGB", "L"):
        # The decoder itself can omit detail beyond the resolution of the tower.
        picture.draft(None, (2 * frame.size, 2 * frame.size))
    picture.load()
    mend_transparency(picture, data)
    small = _reduced(picture, frame)
    turn = UPRIGHT.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    if turn is not None:
        small = small.transpose(turn)
    square = (frame.size, frame.size)
    if frame.fit == "pad":
        small = ImageOps.pad(small, square, Image.Resampling.BICUBIC, color=WHITE)
    elif frame.fit == "crop":
        small = ImageOps.fit(small, square, Image.Resampling.BICUBIC)
    elif small.size != square:
        small = small.resize(square, Image.Resampling.BICUBIC)
    return np.asarray(small, dtype=np.uint8)


def _reduced(picture: Image.Image, frame: Frame) -> Image.Image:
    """Return the image in sRGB on white, reduced by an integer factor to at least twice the tower's size.

    Works in strips, so that an image of 50 megapixels is in memory once and never copied as a whole.
    """
    profile = picture.info.get("icc_profile")
    width, height = picture.size
    side = max(width, height) if frame.fit == "pad" else min(width, height)
    factor = max(1, side // (2 * frame.size))
    if factor == 1:
        return rgb(picture, profile)
    # Inks are converted once they are few; everything else is RGB before it is averaged.
    flat = (lambda part: part) if picture.mode in PRINTED else on_white
    mode = picture.mode if picture.mode in PRINTED else "RGB"
    small = Image.new(mode, (-(-width // factor), -(-height // factor)))
    rows = factor * STRIP_ROWS
    for top in range(0, height, rows):
        strip = picture.crop((0, top, width, min(height, top + rows)))
        small.paste(flat(strip).reduce(factor), (0, top // factor))
    return rgb(small, profile)
