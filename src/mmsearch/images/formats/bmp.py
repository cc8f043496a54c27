"""The header of a BMP."""

from __future__ import annotations

import struct

from mmsearch.errors import PictureError

_CORE, _INFO = 12, 40  # bytes of the two kinds of header
_PACKED = (1, 2)  # run lengths, which may be much smaller than the image
_MASKS = (0, 3, 6)


def read(data: bytes) -> tuple[int, int, int]:
    """Return width, height, and the memory for decoding in bytes.

    Raise PictureError (not_a_picture, truncated), or struct.error if the header is incomplete.
    """
    start, size = struct.unpack_from("<II", data, 10)
    if size == _CORE:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        packed = 0
    elif size >= _INFO:
        width, height, _, bits, packed = struct.unpack_from("<iiHHI", data, 18)
        height = abs(height)
    else:
        raise PictureError("not_a_picture", f"expected a BMP header of 12 or 40 bytes and more, got {size}")
    if bits not in (1, 4, 8, 16, 24, 32) or packed not in (*_PACKED, *_MASKS) or width < 0:
        raise PictureError(
            "not_a_picture",
            f"expected a BMP of 1 to 32 bits with pixels, got {bits} bits in compression {packed}; save it "
            "as PNG",
        )
    whole = start + (width * bits + 31) // 32 * 4 * height
    if packed in _MASKS and whole > len(data):
        raise PictureError("truncated", f"expected a whole BMP of {whole} bytes, got {len(data)}")
    # Pillow unpacks run lengths in a buffer of its own.
    per_pixel = 3 if packed in _PACKED else 1 if bits <= 8 else 4
    return width, height, width * height * per_pixel
