"""Pixels with a header, as ingest sends them: what is not exactly what the tower takes is refused."""

from __future__ import annotations

import numpy as np
import pytest

from mmsearch.clients.triton import Served
from mmsearch.errors import EncoderError
from mmsearch.images.header import kind_of
from mmsearch.serving.pictures.images import read
from mmsearch.serving.pictures.pixels import (
    FITS,
    HEAD_BYTES,
    MAX_SIDE,
    PREPROCESSING,
    Frame,
    PictureError,
    is_packed,
    packed,
    read_parameter,
    unpacked,
)

FRAME = Frame(5, "crop")
PIXELS = np.random.default_rng(1).integers(0, 256, (5, 5, 3), np.uint8)


def test_pixels_come_out_as_they_went_in() -> None:
    value = packed(PIXELS, FRAME)
    assert len(value) == HEAD_BYTES + 75 == 83
    # By pencil: the magic, the preprocessing, the second fit, and the size, its low byte first.
    assert value[:8] == b"MMPX" + bytes((PREPROCESSING, 1, 5, 0))
    assert is_packed(value)
    np.testing.assert_array_equal(unpacked(value, FRAME), PIXELS)
    np.testing.assert_array_equal(read(value, FRAME), PIXELS)
    assert kind_of(value) == ""


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"MMPX", "expected a header of 8 bytes before pixels, got 4 bytes"),
        (packed(PIXELS, FRAME)[:-1], "expected 83 bytes of header and pixels, got 82"),
        (packed(PIXELS, FRAME) + b"x", "expected 83 bytes of header and pixels, got 84"),
        (packed(PIXELS, Frame(5, "pad")), r"expected 5 x 5 pixels \(crop, .*, got 5 x 5 pixels \(pad, "),
        (packed(PIXELS, Frame(6, "crop")), "expected 5 x 5 pixels .*, got 6 x 6 pixels"),
        (b"MMPX\xff\x01\x05\x00" + bytes(75), "preprocessing 2.*got .* preprocessing 255"),
        (bytes((*b"MMPX", PREPROCESSING, 9, 5, 0)) + bytes(75), "got 5 x 5 pixels .fit 9"),
        (bytes((*b"MMPX", PREPROCESSING, 1, 255, 255)), "got 65535 x 65535 pixels"),
    ],
)
def test_what_the_tower_does_not_take_is_refused_in_one_sentence(value: bytes, message: str) -> None:
    with pytest.raises(PictureError, match=message) as caught:
        read(value, FRAME)
    assert "\n" not in str(caught.value)


def test_whatever_follows_the_magic_only_picture_errors_are_raised() -> None:
    chance = np.random.default_rng(7)
    for _ in range(2_000):
        value = b"MMPX" + chance.bytes(int(chance.integers(0, 90)))
        try:
            assert read(value, FRAME).shape == (5, 5, 3)
        except PictureError:
            continue


def test_a_config_states_what_a_tower_takes() -> None:
    for fit in FITS:
        assert read_parameter(Frame(224, fit).parameter()) == Frame(224, fit)
    assert Frame(224).parameter() == f"{PREPROCESSING} pad 224"
    for wrong in ("", "none", "1 pad 224", f"{PREPROCESSING} pad", f"{PREPROCESSING} tile 224", "2 pad x"):
        with pytest.raises(ValueError, match=r"."):
            read_parameter(wrong)
    for size in (0, -1, MAX_SIDE + 1):
        with pytest.raises(ValueError, match=f"expected a size of 1 to {MAX_SIDE}, got {size}"):
            Frame(size)


def test_a_client_takes_the_frame_of_the_version_that_it_encodes_by() -> None:
    def served(version: str) -> Served:
        stated = {
            "1": f"{PREPROCESSING} pad 224",
            "2": f"{PREPROCESSING} crop 336",
            "3": "none",
            "4": "1 pad 9",
        }
        return Served("item_encoder", "query_encoder", version, "f", "", {}, 64, 0, 0, pixels=stated)

    assert [served(version).frame() for version in "123"] == [Frame(224), Frame(336, "crop"), None]
    with pytest.raises(
        EncoderError, match=r"expected version 4 of item_encoder to take pixels .* got '1 pad 9'"
    ):
        served("4").frame()
    with pytest.raises(EncoderError, match="got 'a model of an earlier one'; build it again"):
        served("5").frame()
