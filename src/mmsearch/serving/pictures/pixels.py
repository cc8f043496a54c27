"""Pixels as a picture tower takes them, and their form in the `IMAGE` input: a header of 8 bytes, then RGB.

Ingest sends pixels; other clients may send encoded images, of which `images.decode` makes the same pixels.
Both forms are rows of one input, because Triton batches only requests with the same inputs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PREPROCESSING = 2
"""Version of the preprocessing in `images` and `colours`. It is part of a model set's fingerprint: raise it
with every change of the pixels, so that vectors of both are never compared."""
FITS = ("pad", "crop", "squash")
MAX_SIDE = 4096
MAGIC = b"MMPX"
"""no image format begins so"""
PARAMETER = "pixels."
"""begins the config parameters of an entry model that state what each version's picture tower takes"""
NO_TOWER = "none"
"""such a parameter of a model set without a picture tower"""
_HEAD = struct.Struct("<4sBBH")  # magic, version of the preprocessing, number of the fit, size
HEAD_BYTES = _HEAD.size


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
        if self.fit not in FITS:
            raise ValueError(f"expected fit pad, crop or squash, got {self.fit!r}; correct the data file")
        if not 0 < self.size <= MAX_SIDE:
            raise ValueError(f"expected a size of 1 to {MAX_SIDE}, got {self.size}; correct the data file")

    def __str__(self) -> str:
        return f"{self.size} x {self.size} pixels ({self.fit}, preprocessing {PREPROCESSING})"

    def parameter(self) -> str:
        """Return the frame as an entry model's config states it: preprocessing, fit and size."""
        return f"{PREPROCESSING} {self.fit} {self.size}"


def read_parameter(text: str) -> Frame:
    """Return the frame of a config's parameter. Raise ValueError if it is no frame, or one of another
    preprocessing.
    """
    version, fit, size = text.split()
    if int(version) != PREPROCESSING:
        raise ValueError(f"expected preprocessing {PREPROCESSING}, got {version}")
    return Frame(int(size), fit)


def packed(pixels: NDArray[np.uint8], frame: Frame) -> bytes:
    """Return pixels, uint8 [size, size, 3], with their header."""
    return _HEAD.pack(MAGIC, PREPROCESSING, FITS.index(frame.fit), frame.size) + pixels.tobytes()


def is_packed(value: bytes) -> bool:
    """Return whether a value of `IMAGE` claims to be pixels, and not an encoded image."""
    return value.startswith(MAGIC)


def unpacked(value: bytes, frame: Frame) -> NDArray[np.uint8]:
    """Return the pixels of a packed value, uint8 [size, size, 3], as a view of it.

    Raise PictureError unless they are of the tower's size and fit, of this preprocessing, and complete.
    """
    if len(value) < HEAD_BYTES:
        raise PictureError(
            f"expected a header of {HEAD_BYTES} bytes before pixels, got {len(value)} bytes; "
            "send the whole value, or an encoded picture"
        )
    _, version, fit, size = _HEAD.unpack_from(value)
    if (version, fit, size) != (PREPROCESSING, FITS.index(frame.fit), frame.size):
        name = FITS[fit] if fit < len(FITS) else f"fit {fit}"
        raise PictureError(
            f"expected {frame}, got {size} x {size} pixels ({name}, preprocessing {version}); "
            "read size and fit from the model's config, with the mmsearch that built it"
        )
    expected = HEAD_BYTES + 3 * size * size
    if len(value) != expected:
        raise PictureError(
            f"expected {expected} bytes of header and pixels, got {len(value)}; send all {size} rows of RGB"
        )
    return np.frombuffer(value, np.uint8, offset=HEAD_BYTES).reshape(size, size, 3)
