"""Read format and size of an image from its header, before anything is decoded.

All values are untrusted input. The parser allocates nothing by them, and every loop advances.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from mmsearch.errors import PictureError
from mmsearch.images.formats import avif, bmp, tiff

MAX_SEGMENTS = 10_000  # parts of a header; pictures have some dozens
TAKEN = ("JPEG", "PNG", "WEBP", "GIF")
"""formats that the encoder takes undecoded"""
_JPEG_SCAN = 0xDA
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
_JPEG_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))


@dataclass(frozen=True, slots=True)
class Header:
    """Header of an image: `format` JPEG, PNG, WEBP, GIF, AVIF, TIFF or BMP, size in pixels.

    `memory` is an upper bound of the memory for decoding, in bytes; `scans` is the number of progressive
    scans.
    """

    format: str
    width: int
    height: int
    memory: int
    scans: int = 1


def kind_of(data: bytes) -> str:
    """Return the format that the first bytes say, or "" for another one."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if avif.is_avif(data):
        return "AVIF"
    if data[:4] in tiff.MAGIC:
        return "TIFF"
    return "BMP" if data[:2] == b"BM" else ""


def read_header(data: bytes) -> Header:
    """Read a header. Raise PictureError (not_a_picture, truncated) for any invalid input."""
    kind = kind_of(data)
    if not kind:
        raise PictureError(
            "not_a_picture",
            f"expected a JPEG, PNG, WebP, GIF, AVIF, TIFF or BMP picture, got {_guess(data)}; convert it",
        )
    try:
        found = _READERS[kind](data)
    except (struct.error, IndexError, OverflowError):
        raise PictureError(
            "truncated", f"expected a whole picture, got {len(data)} bytes that end inside the header"
        ) from None
    if found.width == 0 or found.height == 0:
        raise PictureError(
            "not_a_picture", f"expected a picture with pixels, got {found.width} x {found.height}"
        )
    return found


def _endless(kind: str) -> PictureError:
    return PictureError("not_a_picture", f"expected a {kind} with pixels after its header, got a header only")


def _guess(data: bytes) -> str:
    if not data:
        return "an empty file"
    if data[4:8] == b"ftyp":
        return "HEIC or another format of its family"
    if data.lstrip()[:5].lower() in (b"<svg ", b"<?xml"):
        return "SVG or XML"
    if data.lstrip()[:1] == b"<":
        return "HTML"
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in data[:512]):
        return "a text file"
    return f"bytes that begin with {data[:4].hex()}"


def _png(data: bytes) -> Header:
    length, kind, width, height, depth, colour = struct.unpack_from(">I4sIIBB", data, 8)
    if kind != b"IHDR" or length != 13:
        raise PictureError("not_a_picture", "expected a PNG with its header first, got another chunk")
    # Pillow stores gray and palette images in one byte per pixel, 16-bit gray in two to four, all others in
    # four.
    per_pixel = 4 if colour in (2, 4, 6) or depth == 16 else 1
    return Header("PNG", width, height, width * height * per_pixel)


def _gif(data: bytes) -> Header:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    for _ in range(MAX_SEGMENTS):
        if data[at] != 0x21:
            break
        at += 2
        while data[at]:
            at += data[at] + 1
        at += 1
    else:
        raise _endless("GIF")
    if data[at] != 0x2C:
        raise PictureError("not_a_picture", "expected a GIF with a frame, got none")
    left, top, frame_width, frame_height = struct.unpack_from("<HHHH", data, at + 1)
    # A frame may be larger than the GIF's logical screen; the decoder then enlarges the canvas.
    width, height = max(width, left + frame_width), max(height, top + frame_height)
    return Header("GIF", width, height, width * height * 2)


def _webp(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8 ":
        if data[23:26] != b"\x9d\x01\x2a":
            raise PictureError("not_a_picture", "expected a WebP key frame, got something else")
        width, height = struct.unpack_from("<HH", data, 26)
        width, height = width & 0x3FFF, height & 0x3FFF
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8X":
        low_w, high_w, low_h, high_h = struct.unpack_from("<HBHB", data, 24)
        width, height = (low_w | high_w << 16) + 1, (low_h | high_h << 16) + 1
    else:
        raise PictureError("not_a_picture", f"expected a WebP picture, got a RIFF file of {kind!r}")
    # The WebP decoder keeps two canvases of four bytes per pixel, and Pillow copies the result twice.
    return Header("WEBP", width, height, width * height * 16)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the marker and the offset of each JPEG segment, at most MAX_SEGMENTS.

    The segments end at the first scan (0xDA). Raise PictureError, or struct.error or IndexError at the end of
    the data.
    """
    at = 2
    for _ in range(MAX_SEGMENTS):
        if data[at] != 0xFF:
            raise PictureError("not_a_picture", "expected a JPEG marker, got other bytes in the header")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _JPEG_ALONE:
            at += 2
        else:
            yield marker, at
            (length,) = struct.unpack_from(">H", data, at + 2)
            at += 2 + max(length, 2)


def _jpeg(data: bytes) -> Header:
    for marker, at in _jpeg_segments(data):
        if marker in _JPEG_FRAMES:
            return _jpeg_frame(data, at, marker)
        if marker in (0xD8, 0xD9, _JPEG_SCAN):
            raise PictureError("not_a_picture", "expected a JPEG frame before its data, got none")
    raise _endless("JPEG")


def _jpeg_frame(data: bytes, at: int, marker: int) -> Header:
    height, width, components = struct.unpack_from(">HHB", data, at + 5)
    samples = [data[at + 11 + 3 * number] for number in range(components)]
    most = max((sample >> 4) * (sample & 15) for sample in samples) if samples else 0
    if not most:
        raise PictureError("not_a_picture", "expected a JPEG with colour components, got none")
    pixels = width * height
    if marker not in _JPEG_PROGRESSIVE:
        return Header("JPEG", width, height, pixels)  # decoded small, strip by strip
    share = sum((sample >> 4) * (sample & 15) for sample in samples) / most
    # A progressive JPEG keeps all coefficients, two bytes each, until the last scan.
    return Header("JPEG", width, height, int(pixels * (1 + 2 * share)), scans=data.count(b"\xff\xda", at))


_READERS: Mapping[str, Callable[[bytes], Header]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "GIF": _gif,
    "AVIF": lambda data: Header("AVIF", *avif.read(data)),
    "TIFF": lambda data: Header("TIFF", *tiff.read(data)),
    "BMP": lambda data: Header("BMP", *bmp.read(data)),
}
