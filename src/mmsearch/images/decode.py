"""A picture's bytes are checked, and decoded where the encoder would choke on them.

What comes out is either the file as it is (small, plain) or the same picture made upright, flat and small.
"""

from __future__ import annotations

import io
import struct
import warnings
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from mmsearch.errors import PictureError
from mmsearch.images.fast_path import takes_fast_path
from mmsearch.images.header import Header, read_header
from mmsearch.images.limits import AS_IT_IS_BYTES, AS_IT_IS_PIXELS, LONG_SIDE, SHORT_SIDE, require_within

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
_BROKEN = (OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, KeyError, struct.error)
_NO_PICTURE = (UnidentifiedImageError, Image.DecompressionBombError, MemoryError)


def goes_as_it_is(data: bytes) -> bool:
    """Whether a picture is small, plain and whole by what its file says of itself, so that the encoder may
    have it undecoded; where a file says so wrongly, the encoder refuses it.

    Raises PictureError with one of the reasons not_a_picture, too_many_pixels, too_many_scans, truncated.
    """
    header = read_header(data)
    require_within(header)
    return _is_small(data, header) and takes_fast_path(data, header)


def checked(data: bytes) -> bytes:
    """Decode a picture to the end and return what the encoder gets.

    Small plain pictures are returned as they are. The others are made upright by their EXIF orientation,
    put on white, converted to RGB, cut to the first frame, shrunk to a short side of 448 pixels, and
    written as JPEG. Raises PictureError with one of the reasons not_a_picture, too_many_pixels,
    too_many_scans, truncated.
    """
    header = read_header(data)
    require_within(header)
    return _decoded(data, header)


def _is_small(data: bytes, header: Header) -> bool:
    """Whether the encoder may get it as it is, where it is plain."""
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
    with Image.open(io.BytesIO(data), formats=(header.format,)) as image:
        if header.format == "JPEG":
            # libjpeg reads every byte either way, but makes only the pixels we keep.
            image.draft(None, _target(image.size))
        image.load()
        turn = _orientation(image)
        plain = turn is None and not getattr(image, "is_animated", False) and image.mode in _PLAIN
        if plain and _is_small(data, header):
            return data
        small = _shrunk(_rgb(_thinned(image) if image.mode in ("P", "1") else _shrunk(image)))
        out = io.BytesIO()
        (small if turn is None else small.transpose(turn)).save(out, "JPEG", quality=95, subsampling=0)
        return out.getvalue()


def _orientation(image: Image.Image) -> Image.Transpose | None:
    """What makes the picture upright, None when it is; a broken EXIF block says nothing."""
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
    # reducing_gap first takes whole steps by averaging, which needs little memory.
    return image.resize(target, Image.Resampling.BICUBIC, reducing_gap=3.0)


def _thinned(image: Image.Image) -> Image.Image:
    """Fewer pixels of a palette, whose numbers cannot be averaged: at least twice what is kept in the end."""
    target = _target(image.size)
    factor = min(image.width // (2 * target[0]), image.height // (2 * target[1]))
    if factor < 2:
        return image
    return image.resize((image.width // factor, image.height // factor), Image.Resampling.NEAREST)


def _rgb(image: Image.Image) -> Image.Image:
    """RGB, with what shows through made white."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        # Sixteen-bit grey: Pillow's own conversion clips at 255 instead of scaling. Dark stays dark, as
        # it does where the encoder decodes a query's picture.
        grey = np.asarray(image.convert("F"))
        image = Image.fromarray((grey / 257).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        base = Image.new("RGBA", layer.size, "white")
        base.alpha_composite(layer)
        return base.convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _first(error: Any) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]
