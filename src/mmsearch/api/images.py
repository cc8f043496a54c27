"""The image of a query, given by its path or by its content."""

from __future__ import annotations

import os
from pathlib import Path

from mmsearch.errors import ArgumentError, SearchError

Image = str | os.PathLike[str] | bytes
"""a path, or the bytes of an image file"""


def image_bytes(image: Image) -> bytes:
    """The image file's bytes. Raises ArgumentError, or SearchError where no file can be read."""
    if isinstance(image, bytes):
        if not image:
            raise ArgumentError("expected the bytes of an image file, got none")
        return image
    if not isinstance(image, str | os.PathLike):
        raise ArgumentError(
            f"expected an image as a path or as the bytes of its file, got {type(image).__name__}"
        )
    path = Path(image)
    try:
        return path.read_bytes()
    except OSError as error:
        raise SearchError(f"expected a picture at {path}, got: {error.strerror}") from None
