"""The image of a query, as a path or as bytes."""

from __future__ import annotations

import os
from pathlib import Path

from mmsearch.errors import ArgumentError, SearchError
from mmsearch.images.conversion import as_taken
from mmsearch.images.header import TAKEN, kind_of

Image = str | os.PathLike[str] | bytes
"""a path, or the bytes of an image file"""


def image_bytes(image: Image) -> bytes:
    """Return the image file in a format that the encoder accepts; AVIF, TIFF and BMP are converted without
    loss. Raise ArgumentError, SearchError if the file cannot be read, or PictureError if it cannot be
    converted.
    """
    if isinstance(image, bytes):
        if not image:
            raise ArgumentError("expected the bytes of an image file, got none")
        return _taken(image)
    if not isinstance(image, str | os.PathLike):
        raise ArgumentError(
            f"expected an image as a path or as the bytes of its file, got {type(image).__name__}"
        )
    path = Path(image)
    try:
        return _taken(path.read_bytes())
    except OSError as error:
        raise SearchError(f"expected a picture at {path}, got: {error.strerror}") from None


def _taken(data: bytes) -> bytes:
    # Other content is sent to the encoder, which rejects it with a reason.
    return data if kind_of(data) in ("", *TAKEN) else as_taken(data)
