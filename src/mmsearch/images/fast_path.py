"""Check by the file structure whether an image is complete and plain, much faster than decoding it.

The encoder decodes every image anyway, so a file with reliable structure need not be decoded twice: a PNG has
a checksum for each chunk and an end chunk; a JPEG ends with a marker. Images that cannot be checked this way
are decoded by `images.checked`. If the encoder still rejects a batch, the batch is split to find the image.
"""

from __future__ import annotations

import struct
import zlib

from mmsearch.errors import PictureError
from mmsearch.images.header import JPEG_FRAMES, JPEG_SCAN, Header, jpeg_segments

MAX_SCANS = 20  # passes of a progressive JPEG: each costs the encoder what decoding a baseline one does
_PNG_HEAD = 8
_PNG_PALETTE = 3
# Chunks with which a PNG is more than one upright frame: animation, orientation, and compressed text (in iTXt
# marked by a flag), which may be a decompression bomb.
_PNG_MORE = frozenset((b"acTL", b"eXIf", b"zTXt"))
_JPEG_END = b"\xff\xd9"
_ORIENTATION = 0x0112  # in EXIF, a number of 16 bits; 1 is upright
_SHORT = 3
_TURNED = b"tiff:Orientation"  # in XMP


def takes_fast_path(data: bytes, header: Header) -> bool:
    """Return True for a complete PNG or JPEG of one upright frame in 8 bits (gray, RGB, with alpha, palette).

    False only means that it cannot be determined. `header` is the result of `read_header(data)`. Raises
    nothing.
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
        if zlib.crc32(view[at + 4 : end]) != checksum or (kind == b"iTXt" and _more(data[at + 8 : end])):
            return False
        if kind == b"IEND":
            return pixels
        pixels = pixels or kind == b"IDAT"
        at = end + 4
    return False


def _more(text: bytes) -> bool:
    """Return whether the text of an iTXt chunk is compressed (flag after the keyword) or sets an
    orientation.
    """
    return text[text.find(b"\0") + 1 :][:1] != b"\0" or _TURNED in text


def _jpeg(data: bytes) -> bool:
    plain = False
    try:
        for marker, at in jpeg_segments(data):
            if marker == JPEG_SCAN:
                return plain and data.endswith(_JPEG_END)
            (length,) = struct.unpack_from(">H", data, at + 2)
            body = data[at + 4 : at + 2 + length]
            if marker in JPEG_FRAMES:
                plain = len(body) > 5 and body[0] == 8 and body[5] in (1, 3)
            elif (marker == 0xE1 and not _upright(body)) or (marker == 0xE2 and body.startswith(b"MPF\0")):
                return False
    except (PictureError, struct.error, IndexError):
        return False
    return False


def _upright(body: bytes) -> bool:
    """Return whether an application segment, EXIF or XMP, leaves the orientation unchanged."""
    if not body.startswith(b"Exif\0\0"):
        return _TURNED not in body
    tiff = body[6:]
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return False
    try:
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, first)
        for at in range(first + 2, first + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, at)
            if tag == _ORIENTATION:
                return bool(kind == _SHORT and value == 1)
    except struct.error:
        return False
    return True
