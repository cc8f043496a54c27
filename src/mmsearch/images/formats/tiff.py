"""The first page of a TIFF: its size, and the memory that its strips or tiles take."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from mmsearch.errors import PictureError

MAX_ENTRIES = 4_096  # in one directory; cameras write some dozens
MAX_VALUES = 100_000  # of one entry, as for an image with a strip for each row
MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WIDTH, _HEIGHT, _BITS, _SAMPLES, _ROWS, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 258, 277, 278, 322, 323
_FOLDERS = (34665, 34853, 40965)  # directories of EXIF, which the decoder reads too
_WHOLE = {1: "B", 3: "H", 4: "I", 16: "Q"}
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_TEXTS = (1, 2, 6, 7)  # types that stay bytes


@dataclass(frozen=True, slots=True)
class _Entry:
    tag: int
    kind: int
    count: int
    at: int


def read(data: bytes) -> tuple[int, int, int]:
    """Return width, height, and an upper bound of the memory for decoding in bytes.

    Raise PictureError (not_a_picture), or struct.error if the directory is incomplete.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    first = struct.unpack_from(f"{order}Q" if big else f"{order}I", data, 8 if big else 4)[0]
    numbers = _numbers(data, first, order, big)
    width, height = numbers.get(_WIDTH, 0), numbers.get(_HEIGHT, 0)
    bits, samples = numbers.get(_BITS, 1), numbers.get(_SAMPLES, 1)
    if not (1 <= bits <= 64 and 1 <= samples <= 16):
        raise PictureError(
            "not_a_picture",
            f"expected a TIFF of up to 64 bits and 16 channels, got {bits} and {samples}; save it as PNG",
        )
    per_pixel = max(4, -(-bits * samples // 8))
    if _TILE_WIDTH in numbers or _TILE_HEIGHT in numbers:
        part = numbers.get(_TILE_WIDTH, 0) * numbers.get(_TILE_HEIGHT, 0)
    else:
        part = width * min(height, numbers.get(_ROWS, height))
    # The decoder unpacks one strip or tile at a time beside the image.
    return width, height, (width * height * (1 if bits <= 8 and samples == 1 else 4)) + part * per_pixel


def _numbers(data: bytes, first: int, order: str, big: bool) -> dict[int, int]:
    """Return the whole numbers of the first directory by tag, the largest value of each. EXIF directories are
    checked alike.
    """
    numbers: dict[int, int] = {}
    folders = []
    for entry in _entries(data, first, order, big):
        if entry.kind not in _WHOLE:
            continue
        if entry.tag in numbers:
            raise PictureError(
                "not_a_picture", f"expected each tag of a TIFF once, got {entry.tag} twice; save it again"
            )
        count = min(entry.count, 16)
        numbers[entry.tag] = max(
            struct.unpack_from(f"{order}{count}{_WHOLE[entry.kind]}", data, entry.at), default=0
        )
        if entry.tag in _FOLDERS:
            folders.append(numbers[entry.tag])
    for folder in folders:
        for _ in _entries(data, folder, order, big):
            pass  # its counts are checked
    return numbers


def _entries(data: bytes, at: int, order: str, big: bool) -> Iterator[_Entry]:
    head, body, inline = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    (count,) = struct.unpack_from(f"{order}{head}", data, at)
    if count > MAX_ENTRIES:
        raise PictureError(
            "not_a_picture", f"expected a TIFF directory of at most {MAX_ENTRIES} entries, got {count}"
        )
    at += struct.calcsize(f"={head}")
    size = struct.calcsize(f"={body}") + inline
    for number in range(count):
        place = at + number * size
        tag, kind, values = struct.unpack_from(f"{order}{body}", data, place)
        value = place + size - inline
        length = values * _BYTES.get(kind, 1)
        if kind not in _TEXTS and values > MAX_VALUES:
            raise PictureError(
                "not_a_picture",
                f"expected at most {MAX_VALUES} values in a TIFF entry, got {values} in {tag}; save it again",
            )
        if length > inline:
            (value,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, value)
        yield _Entry(tag, kind, values, value)
