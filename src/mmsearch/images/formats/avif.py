"""The still image of an AVIF: its size, and the size of every AV1 frame that decoding it makes.

The container says one size and the AV1 data may say another, so both are read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mmsearch.errors import PictureError

MAX_BOXES = 10_000
MAX_UNITS = 10_000  # parts of AV1 data; a still image has some dozens
BRANDS = (b"avif", b"avis")
_SEQUENCE = 1  # the kind of unit that says the frames' size
# Planes of three samples in 16 bits at most; the image in RGBA, its copy, and Pillow's.
_CODED_BYTES, _SHOWN_BYTES = 6, 12
Box = tuple[bytes, int, int]


@dataclass(slots=True)
class _Meta:
    """Items by their number: kind and place of their data; the primary one; sizes of properties by place."""

    primary: int = -1
    kinds: dict[int, bytes] = field(default_factory=dict)
    places: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    properties: list[tuple[int, int] | None] = field(default_factory=list)
    owned: dict[int, list[int]] = field(default_factory=dict)


def is_avif(data: bytes) -> bool:
    """Return whether the file type box names AVIF."""
    if data[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(data[:4]), 256, len(data))
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))]
    return any(brand in BRANDS for brand in brands)


def still(data: bytes) -> bytes:
    """Return the file as one of a still image: of an animation, which says so by its first brand, the decoder
    then takes the image beside it.
    """
    return data[:8] + b"avif" + data[12:] if data[8:12] == b"avis" else data


def read(data: bytes) -> tuple[int, int, int]:
    """Return width, height, and an upper bound of the memory for decoding in bytes.

    Raise PictureError (not_a_picture, truncated), or struct.error or IndexError if a box is incomplete.
    """
    meta = next((box for box in _boxes(data, 0, len(data)) if box[0] == b"meta"), None)
    if meta is None:
        raise PictureError(
            "not_a_picture", "expected an AVIF with a still image, got none in it; save one of its frames"
        )
    items = _meta(data, meta)
    sizes = [
        items.properties[place]
        for place in items.owned.get(items.primary, ())
        if place < len(items.properties)
    ]
    size = next((found for found in sizes if found), None)
    if size is None:
        raise PictureError(
            "not_a_picture", "expected an AVIF whose image has a size, got none; save it again"
        )
    if sum(length for places in items.places.values() for _, length in places) > 2 * len(data):
        raise PictureError(
            "not_a_picture", "expected an AVIF whose items have their own data, got shared data"
        )
    coded = 0
    for number, kind in items.kinds.items():
        if kind == b"av01":
            coded += _frame(b"".join(_extent(data, *place) for place in items.places.get(number, ())))
    if not coded:
        raise PictureError("not_a_picture", "expected an AVIF with AV1 data, got none; save it again")
    width, height = size
    return width, height, coded * _CODED_BYTES + width * height * _SHOWN_BYTES


def _extent(data: bytes, at: int, length: int) -> bytes:
    if at + length > len(data):
        raise PictureError("truncated", f"expected a whole AVIF, got {len(data)} bytes that end in its data")
    return data[at : at + length]


def _boxes(data: bytes, at: int, end: int) -> Iterator[Box]:
    """Yield the kind of each box in a range, and the range of its content."""
    for _ in range(MAX_BOXES):
        if at + 8 > end:
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        stop = end if length == 0 else at + length
        if stop < at + head or stop > end:
            if kind == b"mdat":
                return  # what of it is missing is found by the items
            raise struct.error
        yield kind, at + head, stop
        at = stop
    raise PictureError("not_a_picture", f"expected an AVIF of at most {MAX_BOXES} boxes, got more")


def _meta(data: bytes, box: Box) -> _Meta:
    found = _Meta()
    children = list(_boxes(data, box[1] + 4, box[2]))
    box_start = next((start for kind, start, _ in children if kind == b"idat"), 0)
    for kind, at, end in children:
        if kind == b"pitm":
            found.primary = int.from_bytes(data[at + 4 : at + (6 if data[at] == 0 else 8)])
        elif kind == b"iinf":
            for name, start, stop in _boxes(data, at + (6 if data[at] == 0 else 8), end):
                if name == b"infe" and data[start] >= 2:
                    wide = 2 if data[start] == 2 else 4
                    number = int.from_bytes(data[start + 4 : start + 4 + wide])
                    found.kinds[number] = data[start + 6 + wide : min(start + 10 + wide, stop)]
        elif kind == b"iloc":
            found.places = _places(data, at, box_start)
        elif kind == b"iprp":
            _properties(data, at, end, found)
    return found


def _places(data: bytes, at: int, box_start: int) -> dict[int, list[tuple[int, int]]]:
    """Return offset and length of each item's data; `box_start` is where the data in the meta box begins."""
    version, sizes = data[at], data[at + 4 : at + 6]
    offset, length, base, index = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4, sizes[1] & 15
    at += 6
    wide = 4 if version == 2 else 2

    def take(size: int) -> int:
        nonlocal at
        if at + size > len(data):
            raise struct.error
        at += size
        return int.from_bytes(data[at - size : at])

    places: dict[int, list[tuple[int, int]]] = {}
    total = 0
    for _ in range(take(wide)):
        number = take(wide)
        method = take(2) & 15 if version else 0
        source = take(2)
        begin = take(base)
        if method > 1 or source:
            raise PictureError(
                "not_a_picture", "expected an AVIF whose data is in the file, got a reference; save it again"
            )
        found = []
        for _ in range(take(2)):
            take(index if version else 0)
            found.append((begin + take(offset) + (box_start if method else 0), take(length)))
            total += 1
            if total > MAX_BOXES:
                raise PictureError(
                    "not_a_picture", f"expected an AVIF of at most {MAX_BOXES} parts, got more"
                )
        places[number] = found
    return places


def _properties(data: bytes, at: int, end: int, found: _Meta) -> None:
    for kind, start, stop in _boxes(data, at, end):
        if kind == b"ipco":
            found.properties = [
                struct.unpack_from(">II", data, first + 4) if name == b"ispe" else None
                for name, first, _ in _boxes(data, start, stop)
            ]
        elif kind == b"ipma":
            wide, two = (4 if data[start] else 2), data[start + 3] & 1
            place = start + 8
            for _ in range(min(int.from_bytes(data[start + 4 : start + 8]), MAX_BOXES)):
                number = int.from_bytes(data[place : place + wide])
                count = data[place + wide]
                place += wide + 1
                step = 2 if two else 1
                mask = 0x7FFF if two else 0x7F
                found.owned[number] = [
                    (int.from_bytes(data[place + step * each : place + step * (each + 1)]) & mask) - 1
                    for each in range(count)
                ]
                place += step * count


def _frame(data: bytes) -> int:
    """Return the pixels of the largest frame that the sequence headers of AV1 data allow."""
    most, at = 0, 0
    for _ in range(MAX_UNITS):
        if at >= len(data):
            if not most:
                raise PictureError(
                    "not_a_picture", "expected AV1 data with a frame size, got none; save it again"
                )
            return most
        kind, extended, sized = data[at] >> 3 & 15, data[at] >> 2 & 1, data[at] >> 1 & 1
        at += 1 + extended
        length = len(data) - at
        if sized:
            length, at = _leb128(data, at)
        if kind == _SEQUENCE:
            width, height = _sequence(data[at : at + min(length, 256)])
            most = max(most, width * height)
        at += length
    raise PictureError("not_a_picture", f"expected AV1 data of at most {MAX_UNITS} parts, got more")


def _leb128(data: Sequence[int], at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 56, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise struct.error


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._number, self._left = int.from_bytes(data), 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise struct.error
        self._left -= count
        return self._number >> self._left & ((1 << count) - 1)

    def skip_variable(self) -> None:
        """Skip a number that is written after as many zeros as it has bits."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        if zeros < 32:
            self.take(zeros)


def _sequence(data: bytes) -> tuple[int, int]:
    """Return the largest width and height of a sequence header's frames."""
    bits = _Bits(data)
    bits.take(4)  # profile, still
    if bits.take(1):  # the short form of a still image
        bits.take(5)
    else:
        _skip_points(bits)
    wide, tall = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(wide) + 1, bits.take(tall) + 1


def _skip_points(bits: _Bits) -> None:
    """Skip timing and operating points."""
    model = delay = 0
    if bits.take(1):
        bits.take(64)
        if bits.take(1):
            bits.skip_variable()
        model = bits.take(1)
        if model:
            delay = bits.take(5) + 1
            bits.take(42)
    shown = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if model and bits.take(1):
            bits.take(2 * delay + 1)
        if shown and bits.take(1):
            bits.take(4)
