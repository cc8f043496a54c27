"""Check images, and decode those that the encoder cannot take unchanged.

The result is either the original file (small, plain) or the image converted to an upright, opaque, small
JPEG, or to a PNG if it was not scaled down.
"""

from __future__ import annotations

import io
import struct
import warnings
from typing import Any

from PIL import Image, UnidentifiedImageError

from mmsearch.errors import PictureError
from mmsearch.images.fast_path import takes_fast_path
from mmsearch.images.formats import avif
from mmsearch.images.header import TAKEN, Header, read_header
from mmsearch.images.limits import AS_IT_IS_BYTES, AS_IT_IS_PIXELS, LONG_SIDE, SHORT_SIDE, require_within
from mmsearch.serving.colours import mend_transparency, rgb

_PLAIN = ("L", "RGB", "RGBA", "P")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pillow's decoders raise all of these on broken files.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, KeyError, struct.error),
    *(RuntimeError, ArithmeticError, AttributeError, AssertionError),
)
_NO_PICTURE = (UnidentifiedImageError, Image.DecompressionBombError, MemoryError)


def goes_as_it_is(data: bytes) -> bool:
    """Return whether the header describes a small, plain and complete image that the encoder can take
    undecoded. The encoder rejects the image if the header is wrong.

    Raise PictureError with the reason not_a_picture, too_many_pixels, too_many_scans or truncated.
    """
    header = read_header(data)
    require_within(header)
    return _is_small(data, header) and takes_fast_path(data, header)


def checked(data: bytes) -> bytes:
    """Decode an image completely and return the bytes for the encoder.

    Small plain images are returned unchanged. Others are rotated by their EXIF orientation, put on white,
    converted to sRGB, reduced to the first frame or page, scaled down to a short side of 448 pixels, and
    written as JPEG, or without loss as PNG if they were not larger. Raise PictureError with the reason
    not_a_picture, too_many_pixels, too_many_scans or truncated.
    """
    header = read_header(data)
    require_within(header)
    return _decoded(data, header)


def _is_small(data: bytes, header: Header) -> bool:
    """Return whether a plain image is small enough to be sent unchanged."""
    return len(data) <= AS_IT_IS_BYTES and header.width * header.height <= AS_IT_IS_PIXELS


def _decoded(data: bytes, header: Header) -> bytes:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _made_small(data, header)
    except PictureError:
        raise
    except _NO_PICTURE as error:
        raise PictureError(
            "not_a_picture", f"expected a {header.format} picture, got: {_first(error)}"
        ) from None
    except _BROKEN as error:
        raise PictureError("truncated", f"expected a whole {header.format}, got: {_first(error)}") from None


def _made_small(data: bytes, header: Header) -> bytes:
    shown = avif.still(data) if header.format == "AVIF" else data
    with Image.open(io.BytesIO(shown), formats=(header.format,)) as image:
        whole = _target(image.size) == image.size
        if header.format == "JPEG":
            # libjpeg reads every byte either way, but decodes only at the reduced size.
            image.draft(None, _target(image.size))
        image.load()
        turn = _orientation(image)
        if header.format in TAKEN:
            plain = turn is None and not getattr(image, "is_animated", False) and image.mode in _PLAIN
            if plain and _is_small(data, header):
                return data
        profile = image.info.get("icc_profile")
        mend_transparency(image, data)
        grey = image.convert("L") if image.mode == "1" else image
        small = _shrunk(rgb(_thinned(grey) if _is_exact(grey) else _shrunk(grey), profile))
        upright = small if turn is None else small.transpose(turn)
        upright.info = {}  # what it says of profile and orientation is done
        out = io.BytesIO()
        if whole:
            upright.save(out, "PNG", compress_level=1)
        else:
            upright.save(out, "JPEG", quality=95, subsampling=0)
        return out.getvalue()


def _is_exact(image: Image.Image) -> bool:
    """Return whether the pixels are no colours to be averaged: numbers in a palette, or compared with a
    transparent colour.
    """
    return image.mode in ("P", "PA") or (image.mode != "RGBA" and "transparency" in image.info)


def _orientation(image: Image.Image) -> Image.Transpose | None:
    """Return the operation that makes the image upright; None if it is upright or the EXIF block is
    invalid.
    """
    try:
        return _TURNS.get(image.getexif().get(0x0112, 1))
    except _BROKEN:
        return None


def _target(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, max(SHORT_SIDE / min(size), 0.0), LONG_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _shrunk(image: Image.Image) -> Image.Image:
    target = _target(image.size)
    if target == image.size:
        return image
    # reducing_gap first reduces by an integer factor with averaging, which needs little memory.
    return image.resize(target, Image.Resampling.BICUBIC, reducing_gap=3.0)


def _thinned(image: Image.Image) -> Image.Image:
    """Subsample an image whose pixels cannot be averaged to at least twice the final size."""
    target = _target(image.size)
    factor = min(image.width // (2 * target[0]), image.height // (2 * target[1]))
    if factor < 2:
        return image
    return image.resize((image.width // factor, image.height // factor), Image.Resampling.NEAREST)


def _first(error: Any) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]
