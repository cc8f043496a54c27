"""Decode catalog images to the pixels that a picture tower takes, within limits of memory and passes."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mmsearch.errors import PictureError
from mmsearch.images.formats import avif
from mmsearch.images.header import read_header
from mmsearch.images.limits import require_within
from mmsearch.serving.pictures.images import preprocessed
from mmsearch.serving.pictures.pixels import Frame

# Pillow's decoders raise all of these on broken files.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, KeyError, struct.error),
    *(RuntimeError, ArithmeticError, AttributeError, AssertionError),
)
_NO_PICTURE = (UnidentifiedImageError, Image.DecompressionBombError, MemoryError)


def pixels(data: bytes, frame: Frame) -> NDArray[np.uint8]:
    """Decode an image completely and return the pixels of a tower, uint8 [size, size, 3].

    Of several frames or pages the first is taken. Raise PictureError with the reason not_a_picture,
    too_many_pixels, too_many_scans or truncated.
    """
    with opened(data) as image:
        return preprocessed(image, data, frame)


@contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """Open an image whose header is within the limits; what Pillow raises inside becomes a PictureError.

    The warning filters of the process are changed meanwhile, so only one thread may decode at a time.
    """
    header = read_header(data)
    require_within(header)
    shown = avif.still(data) if header.format == "AVIF" else data
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(shown), formats=(header.format,)) as image:
                yield image
    except PictureError:
        raise
    except _NO_PICTURE as error:
        raise PictureError(
            "not_a_picture", f"expected a {header.format} picture, got: {_first(error)}"
        ) from None
    except _BROKEN as error:
        raise PictureError("truncated", f"expected a whole {header.format}, got: {_first(error)}") from None


def _first(error: Any) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]
