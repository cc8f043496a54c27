"""The preprocessing of pictures: from an encoded image to the pixels of a tower.

Training, ingest and serving run this code, so that an image has the same pixels wherever it is decoded.
`mmsearch.images.decode` opens catalog images for it, with limits of its own and more formats.
"""

from __future__ import annotations

import io
import threading
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from .colours import PRINTED, WHITE, mend_transparency, on_white, rgb
from .pixels import Frame, PictureError, is_packed, unpacked

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
MAX_PIXELS = 50_000_000
MAX_SIDE = 30_000
# Larger images are decoded one at a time, so that only one of them is in memory.
LARGE_PIXELS = 4_000_000
STRIP_ROWS = 16
# Least size of a reduced JPEG, in sizes of the tower. Measured on photographs of 1200 to 1600 pixels: at 1.5
# decoding takes 6 ms instead of 20, and the median cosine to the features of the whole image is .999; at 2 it
# takes 9 ms, at .9999. Of 10 neighbours .89 and .90 stay. A shift by one pixel costs more (.99).
DRAFT = 1.5
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


def read(value: bytes, frame: Frame) -> NDArray[np.uint8]:
    """Return the pixels of a value of `IMAGE`: sent as pixels, or decoded here. Raise PictureError."""
    return unpacked(value, frame) if is_packed(value) else decode(value, frame)


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
                    return preprocessed(picture, data, frame)
                with _one_large:
                    return preprocessed(picture, data, frame)
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


def preprocessed(picture: Image.Image, data: bytes, frame: Frame) -> NDArray[np.uint8]:
    """Return the pixels of an image that is opened and not yet decoded, uint8 [size, size, 3].

    A JPEG is decoded at the smallest of 1/1, 1/2, 1/4 and 1/8 of its size that is at least DRAFT times the
    tower's; others are averaged by an integer factor to at least twice the tower's size. From there one
    bicubic resampling with antialiasing leads to the tower's size. `data` is the encoded image. Raise what
    Pillow raises on invalid data.
    """
    full_size, scale = picture.size, _drafted(picture, frame)
    picture.load()
    mend_transparency(picture, data)
    factor = _side(picture.size, frame) // (2 * frame.size)
    small = averaged(picture, factor)
    small = _fitted(small, picture.size if scale == 1 else full_size, scale * max(1, factor), frame)
    turn = orientation(picture)
    if turn is not None:
        small = small.transpose(turn)
    if frame.fit == "pad":
        square = Image.new("RGB", (frame.size, frame.size), WHITE)
        left, top = (round((frame.size - side) / 2) for side in small.size)
        square.paste(small, (left, top))
        small = square
    return np.asarray(small, dtype=np.uint8)


def orientation(picture: Image.Image) -> Image.Transpose | None:
    """Return the operation that makes a decoded image upright; None if it is upright or its EXIF block is
    invalid.
    """
    try:
        return UPRIGHT.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except (
        Exception
    ):  # damaged metadata, on which Pillow raises many types, is no reason to refuse the pixels
        return None


def averaged(picture: Image.Image, factor: int) -> Image.Image:
    """Return a decoded image in sRGB on white, reduced by an integer factor.

    Works in strips, so that an image of 50 megapixels is in memory once and never copied as a whole.
    """
    profile = picture.info.get("icc_profile")
    if picture.mode in ("I", "F"):
        picture = on_white(picture)  # what one step of their values means depends on the whole image
    if factor < 2:
        return rgb(picture, profile)
    width, height = picture.size
    printed = picture.mode in PRINTED
    small = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    rows = factor * STRIP_ROWS
    for top in range(0, height, rows):
        strip = picture.crop((0, top, width, min(height, top + rows)))
        # Colours are averaged, not inks.
        flat = rgb(strip, profile) if printed else on_white(strip)
        small.paste(flat.reduce(factor), (0, top // factor))
    return small if printed else rgb(small, profile)


def _fitted(small: Image.Image, full_size: tuple[int, int], factor: int, frame: Frame) -> Image.Image:
    """Return an image at the tower's size; with "pad" only its longer side has that size.

    `small` is an image of `full_size` pixels, reduced by `factor`. Sizes round up, so that its last pixels
    may be partial; the exact box keeps the proportions of the image.
    """
    width, height = full_size[0] / factor, full_size[1] / factor
    size = (frame.size, frame.size)
    box = (0.0, 0.0, width, height)
    if frame.fit == "pad":
        ratio = frame.size / max(full_size)
        size = (max(1, round(full_size[0] * ratio)), max(1, round(full_size[1] * ratio)))
    elif frame.fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
    return small.resize(size, Image.Resampling.BICUBIC, box)


def _side(size: tuple[int, int], frame: Frame) -> int:
    """Return the side of the image that becomes the tower's size."""
    return max(size) if frame.fit == "pad" else min(size)


def _drafted(picture: Image.Image, frame: Frame) -> int:
    """Have a JPEG decoded at a reduced size, and return the factor; 1 for other formats. The decoder omits
    detail beyond that size.
    """
    width, height = picture.size
    most = int(_side(picture.size, frame) / (DRAFT * frame.size))
    if scale := next((scale for scale in (8, 4, 2) if scale <= most), 0):
        picture.draft(None, (width // scale, height // scale))
    return next((each for each in (1, 2, 4, 8) if picture.size == (-(-width // each), -(-height // each))), 1)
