"""Check images, and decode those that the encoder cannot take unchanged.

The result is either the original file (small, plain) or the image converted to an upright, opaque, small
JPEG.
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
    converted to RGB, reduced to the first frame, scaled down to a short side of 448 pixels, and written as
    JPEG. Raise PictureError with the reason not_a_picture, too_many_pixels, too_many_scans or truncated.
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
    with Image.open(io.BytesIO(data), formats=(header.format,)) as image:
        if header.format == "JPEG":
            # libjpeg reads every byte either way, but decodes only at the reduced size.
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
    """Subsample a palette image, whose indices cannot be averaged, to at least twice the final size."""
    target = _target(image.size)
    factor = min(image.width // (2 * target[0]), image.height // (2 * target[1]))
    if factor < 2:
        return image
    return image.resize((image.width // factor, image.height // factor), Image.Resampling.NEAREST)


def _rgb(image: Image.Image) -> Image.Image:
    """Convert to RGB with transparent pixels on white."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        # 16-bit gray: Pillow's own conversion clips at 255 instead of scaling. The scaling matches that of
        # the encoder for query images.
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
