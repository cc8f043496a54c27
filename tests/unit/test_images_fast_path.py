"""What a picture's file says of itself: whole and plain ones go to the encoder without being decoded here."""

from __future__ import annotations

import random
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mmsearch.errors import PictureError
from mmsearch.images.decode import checked, goes_as_it_is
from mmsearch.images.fast_path import MAX_SCANS, takes_fast_path
from mmsearch.images.header import read_header
from mmsearch.images.limits import AS_IT_IS_BYTES
from mmsearch.images.preprocess import Prepared, Result, Task, prepare
from mmsearch.images.process_pool import DecoderPool, Process
from mmsearch.images.references import sha256

from .test_images import chunk, halves, png, saved, scans

XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def shown(data: bytes) -> bool:
    return takes_fast_path(data, read_header(data))


def noise(mode: str = "RGB") -> Image.Image:
    drawn = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
    return Image.fromarray(drawn).convert(mode)


def exif(turn: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = turn
    return made


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "L", {}),
        ("PNG", "P", {}),
        ("JPEG", "RGB", {}),
        ("JPEG", "L", {}),
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "RGB", {"exif": exif(1)}),
        ("JPEG", "RGB", {"exif": b"Exif\0\0MM\0*" + bytes((0, 0, 0, 8, 0, 0, 0, 0, 0, 0))}),
        ("JPEG", "RGB", {"xmp": b"<x:xmpmeta/>", "icc_profile": b"a profile", "dpi": (72, 72)}),
    ],
)
def test_a_whole_plain_picture_is_told(kind: str, mode: str, options: dict[str, Any]) -> None:
    data = saved(noise(mode), kind, **options)
    assert goes_as_it_is(data)
    assert checked(data) is data  # decoding comes to the same


@pytest.mark.parametrize(
    "data",
    [
        saved(halves(), "GIF"),
        saved(halves(), "WEBP"),
        saved(halves("CMYK"), "JPEG"),
        saved(halves(), "JPEG", exif=exif(6)),
        saved(halves(), "PNG", exif=exif(6)),
        saved(halves(), "JPEG", xmp=XMP),
        png(8, 8, 8, 0, zlib.compress(bytes(72)), chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)),
        saved(halves(), "JPEG", exif=b"Exif\0\0II*\0" + bytes((8, 0, 0, 0, 9, 0))),
        saved(halves(), "JPEG", exif=b"Exif\0\0nonsense"),
        saved(halves(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 32))]),
        saved(halves(), "PNG", save_all=True, append_images=[Image.new("RGB", (64, 32))]),
        saved(halves("1"), "PNG"),
        saved(Image.fromarray(np.full((4, 4), 40_000, np.uint16)), "PNG"),
        png(8, 8, 8, 0, zlib.compress(bytes(72)), chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(900_000)))),
        png(
            8,
            8,
            8,
            0,
            zlib.compress(bytes(72)),
            chunk(b"iTXt", b"k\0\x01\0\0\0" + zlib.compress(bytes(9_000))),
        ),
        png(8, 8, 8, 0, zlib.compress(bytes(72)), chunk(b"iTXt", b"no end")),
        scans(MAX_SCANS + 1, 64),
        saved(halves(), "JPEG")[:-2],
        saved(halves(), "PNG")[:-12],
        png(8, 8, 8, 0, b"").replace(b"IDAT", b"iDAT"),
    ],
    ids=[
        "GIF",
        "WebP",
        "CMYK",
        "JPEG turned",
        "PNG turned",
        "JPEG turned by XMP",
        "PNG turned by XMP",
        "EXIF cut",
        "EXIF of no order",
        "two pictures",
        "PNG animated",
        "one bit",
        "sixteen bits",
        "packed text",
        "packed international text",
        "text without end",
        "many scans",
        "JPEG without end",
        "PNG without end",
        "PNG without pixels",
    ],
)
def test_what_cannot_be_told_does_not_go_as_it_is(data: bytes) -> None:
    assert not shown(data)
    assert not goes_as_it_is(data)


def test_a_png_with_notes_as_image_editors_write_them_is_plain() -> None:
    notes = PngInfo()
    notes.add_text("Software", "an editor")
    notes.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    data = saved(noise(), "PNG", pnginfo=notes, icc_profile=b"a profile", dpi=(72, 72))
    assert {b"tEXt", b"iTXt", b"iCCP", b"pHYs"} <= {data[at : at + 4] for at in range(len(data))}
    assert goes_as_it_is(data)
    assert checked(data) is data


@pytest.mark.parametrize("size", [(3_000, 500), (500, 3_000)])
def test_a_large_picture_is_whole_and_does_not_go_as_it_is(size: tuple[int, int]) -> None:
    data = saved(halves(size=size), "PNG")
    assert shown(data)
    assert not goes_as_it_is(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_no_cut_picture_is_told_to_be_whole(kind: str) -> None:
    data = saved(noise(), kind)
    for at in range(30, len(data)):
        try:
            header = read_header(data[:at])
        except PictureError:
            continue
        assert not takes_fast_path(data[:at], header), at


def test_a_bit_that_flips_in_a_png_is_seen() -> None:
    data = bytearray(saved(noise(), "PNG"))
    chance = random.Random(5)
    for _ in range(300):
        at = chance.randrange(33, len(data))
        data[at] ^= 1 << chance.randrange(8)
        assert not shown(bytes(data)), at
        data[at : at + 1] = saved(noise(), "PNG")[at : at + 1]


def test_whatever_the_bytes_are_nothing_is_raised() -> None:
    chance = random.Random(7)
    seeds = [saved(noise(), "JPEG"), saved(noise(), "JPEG", exif=exif(1)), saved(noise("P"), "PNG")]
    for _ in range(2_000):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(min(len(data), 300))] = chance.randrange(256)
        try:
            header = read_header(bytes(data))
        except PictureError:
            continue
        assert takes_fast_path(bytes(data), header) in (True, False)


def test_a_chunk_that_claims_more_than_there_is_ends_nothing() -> None:
    data = saved(halves(), "PNG")
    at = data.index(b"IDAT") - 4
    assert not shown(data[:at] + struct.pack(">I", 2**31 - 1) + data[at + 4 :])


def test_a_process_is_started_for_what_has_to_be_decoded_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, turned = saved(noise(), "PNG"), saved(noise(), "JPEG", exif=exif(6))
    large = saved(Image.effect_noise((900, 900), 100), "PNG")
    assert len(large) > AS_IT_IS_BYTES
    for name, data in (("plain.png", plain), ("turned.jpg", turned), ("large.png", large), ("bad.png", b"x")):
        (tmp_path / name).write_bytes(data)
    started = []

    class Counted(Process):
        def __init__(self, root: Path) -> None:
            super().__init__(root)
            started.append(self)

    monkeypatch.setattr("mmsearch.images.process_pool.Process", Counted)
    decoders = DecoderPool(tmp_path, 2)
    try:

        def ask(*tasks: Task) -> list[Result]:
            return decoders.result(decoders.submit(tasks))

        (first,) = ask(Task(("plain.png",), ""))
        assert first == Prepared(sha256(plain)[:32], (plain,))
        assert isinstance(first, Prepared)
        assert ask(Task(("plain.png",), first.digest)) == [Prepared(first.digest, ())]
        assert ask(Task((tmp_path / "plain.png",), "")) == [first]
        assert not started
        names = ("turned.jpg", "plain.png", "bad.png", "large.png", "nowhere.png")
        tasks = [Task((name,), "") for name in names]
        results = ask(*tasks)
        # Errors are not equal, but say the same.
        assert list(map(repr, results)) == [repr(prepare(task, tmp_path)) for task in tasks]
        assert [isinstance(result, Prepared) for result in results] == [True, True, False, True, False]
        assert len(started) == 1
    finally:
        decoders.close()
