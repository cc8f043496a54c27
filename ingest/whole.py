"""Whether a picture is whole and plain, told from its file's structure, for a fraction of decoding it.

The encoder decodes every picture anyway, so what its file vouches for need not be decoded twice: a PNG has
a checksum over each of its parts and says where it ends, a JPEG ends with a marker. What cannot be told here
is decoded by `images.checked`; what the encoder refuses all the same is told apart by splitting the batch.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib

from PIL import Image, UnidentifiedImageError

from .probe import Header

MAX_SCANS = 20  # passes of a progressive JPEG: each costs the encoder what decoding a baseline one does
# Pillow's decoders raise all of these on broken files.
BROKEN = (OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, KeyError, struct.error)
NO_PICTURE = (UnidentifiedImageError, Image.DecompressionBombError, MemoryError)
ORIENTATION = 0x0112  # in EXIF; 1 is upright
_PNG_HEAD = 8
_PNG_PALETTE = 3
# What makes more of a PNG than one upright frame: its animation, its orientation, and packed text (in iTXt by
# a flag), of which little may unpack to much.
_PNG_MORE = frozenset((b"acTL", b"eXIf", b"zTXt"))
_JPEG_END = b"\xff\xd9"


def whole_and_plain(data: bytes, header: Header) -> bool:
    """True for a PNG or JPEG of one upright frame in 8 bits (grey, RGB, with alpha, palette) that is not cut.

    False says only that it cannot be told. `header` is what `probe` said of `data`. Raises nothing.
    """
    if header.format == "PNG":
        return _png(data)
    return header.format == "JPEG" and header.scans <= MAX_SCANS and _jpeg(data)


def _png(data: bytes) -> bool:
    if len(data) < 26:
        return False
    depth, colour = data[24], data[25]
    if depth != 8 and colour != _PNG_PALETTE:
        return False
    view, at, pixels = memoryview(data), _PNG_HEAD, False
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data) or kind in _PNG_MORE:
            return False
        (checksum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(view[at + 4 : end]) != checksum or (kind == b"iTXt" and _packed(data[at + 8 : end])):
            return False
        if kind == b"IEND":
            return pixels
        pixels = pixels or kind == b"IDAT"
        at = end + 4
    return False


def _packed(text: bytes) -> bool:
    """Whether an iTXt chunk's text is, by the byte after the keyword's end."""
    return text[text.find(b"\0") + 1 :][:1] != b"\0"


def _jpeg(data: bytes) -> bool:
    if not data.endswith(_JPEG_END):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
                plain = image.mode in ("L", "RGB") and not getattr(image, "is_animated", False)
                return plain and image.getexif().get(ORIENTATION, 1) == 1
    except (*NO_PICTURE, *BROKEN):
        return False
