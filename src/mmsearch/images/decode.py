"""A picture's reference becomes checked bytes that the encoder can take.

References are a path below the image root, or a `data:` URI. What comes out is either the file as it is
(small, plain) or the same picture made upright, flat and small, so that hardly anything that the encoder
would choke on reaches a batch.
"""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
import io
import os
import re
import stat
import struct
import urllib.parse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from mmsearch.errors import PictureError
from mmsearch.images.fast_path import whole_and_plain
from mmsearch.images.header import Header, probe

MAX_BYTES = 20_000_000
MAX_PIXELS = 50_000_000
MAX_MEMORY = 240_000_000  # bytes that decoding one picture may take
MAX_SCANS = 200  # passes of a progressive JPEG; encoders write about ten
MAX_SCANNED = 600_000_000  # pixels times passes
AS_IT_IS_BYTES = 400_000
AS_IT_IS_PIXELS = 1_100_000
SHORT_SIDE = 448  # twice the 224 pixels of the usual towers
LONG_SIDE = 2048
_DATA_URI = re.compile(r"data:(?P<type>[\w/+.\-]*)(?P<parameters>(?:;[^;,]*)*),", re.ASCII)
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
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:", re.ASCII)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read(reference: str, root: Path, most: int = MAX_BYTES) -> bytes:
    """The bytes behind a reference, at most `most` of them.

    Raises PictureError with one of the reasons not_found, outside_root, unreadable, url, bad_reference,
    too_large.
    """
    if reference[:5].lower() == "data:":
        return _from_data_uri(reference, most)
    scheme = _SCHEME.match(reference)
    if scheme:
        raise PictureError(
            "url",
            f"expected a path below the image root or a data: URI, got a {scheme[0]} reference; "
            "pass --fetch-images for http and https",
        )
    return _from_file(reference, root, most)


def _from_data_uri(reference: str, most: int) -> bytes:
    head = _DATA_URI.match(reference)
    if head is None:
        raise PictureError("bad_reference", "expected data:image/…;base64,…, got a data: URI without a comma")
    body = reference[head.end() :]
    if len(body) > most * 3:
        raise _too_large(len(body))
    try:
        if head["parameters"].lower().endswith(";base64"):
            data = base64.b64decode(urllib.parse.unquote(body), validate=True)
        else:
            data = urllib.parse.unquote_to_bytes(body)
    except (binascii.Error, ValueError) as error:
        raise PictureError("bad_reference", f"expected base64 in a data: URI, got: {error}") from None
    if len(data) > most:
        raise _too_large(len(data))
    return data


def _from_file(reference: str, root: Path, most: int) -> bytes:
    try:
        base = os.path.realpath(root)
        path = os.path.realpath(os.path.join(base, reference))  # noqa: PTH118 - a reference is no Path yet
        if os.path.commonpath((base, path)) != base:
            raise PictureError(
                "outside_root",
                f"expected a picture below the image root, got {_short(reference)}, which leaves it",
            )
        # Not blocking, so that a named pipe in the folder does not hold the run for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise PictureError("unreadable", f"expected a file, got {_short(reference)}, which is none")
            if status.st_size > most:
                raise _too_large(status.st_size)
            data = file.read(most + 1) or b""
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise PictureError(
                "not_found", f"expected a picture at {_short(reference)}, found no file"
            ) from None
        raise PictureError(
            "unreadable", f"expected a picture at {_short(reference)}, got: {error.strerror}"
        ) from None
    except ValueError as error:  # a NUL in the name
        raise PictureError(
            "bad_reference", f"expected a file name, got {_short(reference)}: {error}"
        ) from None
    if len(data) > most:
        raise _too_large(len(data))
    return data


def goes_as_it_is(data: bytes) -> bool:
    """Whether a picture is small, plain and whole by what its file says of itself, so that the encoder may
    have it undecoded; where a file says so wrongly, the encoder refuses it.

    Raises PictureError with one of the reasons not_a_picture, too_many_pixels, too_many_scans, truncated.
    """
    header = probe(data)
    _within_limits(header)
    return _is_small(data, header) and whole_and_plain(data, header)


def checked(data: bytes) -> bytes:
    """Decode a picture to the end and return what the encoder gets.

    Small plain pictures are returned as they are. The others are made upright by their EXIF orientation,
    put on white, converted to RGB, cut to the first frame, shrunk to a short side of 448 pixels, and
    written as JPEG. Raises PictureError with one of the reasons not_a_picture, too_many_pixels,
    too_many_scans, truncated.
    """
    header = probe(data)
    _within_limits(header)
    return _decoded(data, header)


def _is_small(data: bytes, header: Header) -> bool:
    """Whether the encoder may get it as it is, where it is plain."""
    return len(data) <= AS_IT_IS_BYTES and header.width * header.height <= AS_IT_IS_PIXELS


def _within_limits(header: Header) -> None:
    if header.width * header.height > MAX_PIXELS:
        raise PictureError(
            "too_many_pixels",
            f"expected at most {MAX_PIXELS / 1e6:.0f} megapixels, got {header.width} x {header.height}",
        )
    if header.memory > MAX_MEMORY:
        raise PictureError(
            "too_many_pixels",
            f"expected a picture that decodes in {MAX_MEMORY / 1e6:.0f} MB, got a {header.format} of "
            f"{header.width} x {header.height} that takes {header.memory / 1e6:.0f} MB; shrink it",
        )
    if header.scans > MAX_SCANS or header.scans * header.width * header.height > MAX_SCANNED:
        raise PictureError(
            "too_many_scans",
            f"expected at most {MAX_SCANS} passes over a JPEG and {MAX_SCANNED / 1e6:.0f} megapixels in them "
            f"all, got {header.scans} over {header.width} x {header.height}; save it again",
        )


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


def _too_large(size: int) -> PictureError:
    return PictureError(
        "too_large",
        f"expected a picture of at most {MAX_BYTES / 1e6:.0f} MB, got {size / 1e6:.1f} MB; shrink it",
    )


def _short(reference: str) -> str:
    text = ascii(reference)
    return text if len(text) <= 120 else text[:118] + "…'"


def _first(error: Any) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]
