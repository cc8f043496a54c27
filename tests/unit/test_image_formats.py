"""AVIF, TIFF and BMP, depths, transparency and colour profiles: the right pixels, within the limits."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from mmsearch.api.images import image_bytes
from mmsearch.errors import PictureError
from mmsearch.images.conversion import as_taken, thumbnail
from mmsearch.images.decode import pixels
from mmsearch.images.header import TAKEN, read_header
from mmsearch.serving.pictures.images import decode
from mmsearch.serving.pictures.pixels import Frame

NEW = ("AVIF", "TIFF", "BMP")
Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def scene(size: tuple[int, int] = (300, 200)) -> Image.Image:
    """Smooth colours, which every format keeps nearly as they are."""
    across, down = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
    return Image.fromarray(np.stack([across, down, 255 - across], axis=2).astype(np.uint8))


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def stored(data: bytes) -> Pixels:
    """The pixels of the file itself."""
    return np.asarray(opened(data))


def tower_view(data: bytes) -> Pixels:
    """As a tower of 150 pixels sees it, which is half of the scene."""
    return pixels(data, Frame(150))


def drawn(image: Image.Image) -> Pixels:
    """As that tower sees an image without a format's loss."""
    return tower_view(saved(image, "PNG"))


def off(left: Pixels, right: Pixels) -> float:
    """The mean difference."""
    return float(np.abs(left.astype(int) - right.astype(int)).mean())


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png16(colour: int, values: list[tuple[int, ...]], clear: tuple[int, ...]) -> bytes:
    """One row of pixels with 16 bits a channel, of which one colour is transparent."""
    numbers = [number for value in values for number in value]
    head = struct.pack(">IIBBBBB", len(values), 1, 16, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear))
        + chunk(b"IDAT", zlib.compress(b"\0" + struct.pack(f">{len(numbers)}H", *numbers)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", NEW)
def test_a_new_format_becomes_what_the_encoder_takes_without_loss(kind: str) -> None:
    options = {"quality": 95} if kind == "AVIF" else {}
    data = saved(scene(), kind, **options)
    header = read_header(data)
    assert (header.format, header.width, header.height) == (kind, 300, 200)
    out = as_taken(data)
    assert read_header(out).format == "PNG"
    np.testing.assert_array_equal(stored(out), stored(data))
    assert off(tower_view(data), drawn(scene())) < 2


@pytest.mark.parametrize("kind", NEW)
def test_a_large_one_is_shrunk(kind: str) -> None:
    data = saved(scene((3600, 1800)), kind, **({"speed": 10} if kind == "AVIF" else {}))
    out = as_taken(data)
    assert (read_header(out).format, opened(out).size) == ("PNG", (1800, 900))
    assert off(decode(out, Frame(150)), tower_view(data)) < 0.5


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        *(("RGB", {"compression": each}) for each in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")),
        ("RGB", {"compression": "jpeg", "quality": 95}),
        ("RGB", {"tile": True, "compression": "tiff_lzw"}),
        ("RGB", {"big_tiff": True}),
        *((mode, {}) for mode in ("L", "CMYK", "RGBA", "LA", "P", "1", "I;16", "I;16B", "I", "F", "LAB")),
    ],
)
def test_tiffs_of_every_kind(mode: str, options: dict[str, Any]) -> None:
    grey = np.asarray(scene().convert("L"))
    wide = {"I;16": grey.astype(np.uint16) * 257, "I;16B": grey.astype(">u2") * 257}
    if mode in wide:
        image = Image.frombytes(mode, (300, 200), wide[mode].tobytes())
    elif mode in ("I", "F"):
        image = Image.fromarray(grey.astype(np.int32) * 257 if mode == "I" else grey.astype(np.float32) / 255)
    elif mode == "LAB":
        made, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.buildTransform(srgb, made, "RGB", "LAB").apply(scene())
    else:
        image = scene().convert(mode)
    expected = (image if mode in ("1", "P", "CMYK") else scene()).convert("RGB")
    if mode in ("L", "LA", "I;16", "I;16B", "I", "F"):
        expected = Image.fromarray(grey)
    assert off(tower_view(saved(image, "TIFF", **options)), drawn(expected)) < 2.5


def test_of_several_pages_the_first_is_taken_and_it_is_upright() -> None:
    pages = saved(scene(), "TIFF", save_all=True, append_images=[Image.new("RGB", (50, 50), "green")])
    assert off(tower_view(pages), drawn(scene())) == 0
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = tower_view(saved(scene(), "TIFF", exif=exif))
    assert off(turned, drawn(scene().transpose(Image.Transpose.ROTATE_270))) < 1


def test_of_an_animated_avif_the_still_image_is_taken() -> None:
    data = saved(scene(), "AVIF", save_all=True, append_images=[Image.new("RGB", (300, 200), "green")])
    assert data[8:12] == b"avis"
    assert off(tower_view(data), drawn(scene())) < 4
    at = data.index(b"meta")
    with pytest.raises(PictureError, match="expected an AVIF with a still image, got none"):
        tower_view(data[:at] + b"free" + data[at + 4 :])


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_an_avif_is_turned_as_it_says(turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    data = saved(scene(), "AVIF", exif=exif)
    assert opened(thumbnail(data)).size == ((300, 200) if turn in (1, 3) else (200, 300))
    turns = {1: scene(), 3: scene().transpose(Image.Transpose.ROTATE_180)}
    turns[6] = scene().transpose(Image.Transpose.ROTATE_270)
    turns[8] = scene().transpose(Image.Transpose.ROTATE_90)
    assert off(tower_view(data), drawn(turns[turn])) < 4


def test_a_bmp_from_the_top_and_of_the_old_header() -> None:
    data = saved(scene(), "BMP")
    body = np.frombuffer(data[54:], np.uint8).reshape(200, -1)[::-1]
    upside = data[:22] + struct.pack("<i", -200) + data[26:54] + body.tobytes()
    assert read_header(upside).height == 200
    np.testing.assert_array_equal(tower_view(upside), drawn(scene()))
    old = b"BM" + struct.pack("<IIIIHHHH", len(data) - 28, 0, 26, 12, 300, 200, 1, 24) + data[54:]
    np.testing.assert_array_equal(tower_view(old), drawn(scene()))


@pytest.mark.parametrize("kind", NEW)
def test_a_cut_one_is_refused(kind: str) -> None:
    chance = np.random.default_rng(3)
    data = saved(Image.fromarray(chance.integers(0, 255, (64, 64, 3), np.uint8)), kind)
    for at in range(0, len(data) - 40, max(1, len(data) // 60)):
        with pytest.raises(PictureError) as caught:
            tower_view(data[:at])
        assert caught.value.reason in ("truncated", "not_a_picture"), at


def tiff(entries: dict[int, tuple[int, int, int]], body: bytes = b"") -> bytes:
    """A TIFF of one directory: tag → type, count, value."""
    rows = b"".join(struct.pack("<HHII", tag, *entry) for tag, entry in sorted(entries.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + bytes(4) + body


def rgb_tiff(width: int, height: int, **more: tuple[int, int, int]) -> bytes:
    named = {"rows": 278, "tile_width": 322, "tile_height": 323, "offsets": 273, "bits": 258, "samples": 277}
    entries = {
        256: (4, 1, width),
        257: (4, 1, height),
        258: (3, 1, 8),
        259: (3, 1, 8),
        262: (3, 1, 2),
        273: (4, 1, 200),
        277: (3, 1, 3),
        279: (4, 1, 100),
    }
    return tiff(entries | {named[name]: value for name, value in more.items()}, zlib.compress(bytes(100_000)))


def liar(width: int, height: int) -> bytes:
    """An AVIF of 64 pixels whose AV1 data says other sizes."""
    data = bytearray(saved(Image.new("RGB", (64, 64), "red"), "AVIF"))
    # The sequence header follows the temporal delimiter; its sizes are of the bits that it says.
    at = data.index(b"mdat") + 4
    while data[at] >> 3 & 15 != 1:
        at += 2 + data[at + 1]
    bits = "".join(f"{byte:08b}" for byte in data[at + 2 : at + 2 + data[at + 1]])
    start = 5 + 5 if bits[4] == "1" else 0
    assert start, "Pillow writes the short form of a still image"
    wide, tall = int(bits[start : start + 4], 2) + 1, int(bits[start + 4 : start + 8], 2) + 1
    rest = bits[start + 8 + wide + tall :]
    made = bits[:start] + f"{15:04b}{15:04b}{width - 1:016b}{height - 1:016b}" + rest
    made += "0" * (-len(made) % 8)
    unit = bytes(int(made[place : place + 8], 2) for place in range(0, len(made), 8))
    longer = len(unit) - data[at + 1]
    data[at + 1 : at + 2 + data[at + 1]] = bytes([len(unit)]) + unit
    return bytes(data[: -longer or None]) if longer > 0 else bytes(data)


BOMBS: dict[str, Callable[[], bytes]] = {
    "bmp 65535 x 65535": lambda: struct.pack("<2sIIIIiiHHI", b"BM", 0, 0, 54, 40, 65_535, 65_535, 1, 24, 0),
    "bmp of run lengths": lambda: struct.pack("<2sIIIIiiHHI", b"BM", 0, 0, 54, 40, 65_535, -65_535, 1, 8, 1),
    "tiff 65535 x 65535": lambda: rgb_tiff(65_535, 65_535),
    "tiff in one strip": lambda: rgb_tiff(7_000, 7_000),
    "tiff of a huge tile": lambda: rgb_tiff(
        64, 64, tile_width=(4, 1, 2**31 - 16), tile_height=(4, 1, 2**31 - 16)
    ),
    "tiff of wide pixels": lambda: rgb_tiff(6_000, 4_000, bits=(3, 1, 64), samples=(3, 1, 16)),
    "avif of 65535 x 65535": lambda: liar(65_535, 65_535),
    "avif of 16384 x 16384": lambda: liar(16_384, 16_384),
    "avif of 4000 x 12000": lambda: liar(4_000, 12_000),
}


HEAVY: dict[str, Callable[[], bytes]] = {
    "tiff with a strip for each byte": lambda: rgb_tiff(64, 64, offsets=(4, 99_999, 300)),
    "tiff of 14 megapixels of deflated zeros": lambda: saved(
        Image.new("RGB", (4_400, 3_300)), "TIFF", compression="tiff_adobe_deflate"
    ),
    "avif of 12 megapixels": lambda: saved(Image.new("RGB", (4_000, 3_000)), "AVIF", speed=10),
    "bmp of run lengths that is whole": lambda: (
        struct.pack("<2sIIIIiiHHIIIIII", b"BM", 0, 0, 1078, 40, 7_000, 7_000, 1, 8, 1, 0, 0, 0, 256, 0)
        + bytes(1024)
        + b"\xff\x01" * 200_000
    ),
}
"""images that are decoded within the limits, or found broken"""


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_by_its_header(name: str) -> None:
    with pytest.raises(PictureError) as caught:
        tower_view(BOMBS[name]())
    # A BMP that is not packed has to be as long as its pixels.
    assert caught.value.reason == ("truncated" if name == "bmp 65535 x 65535" else "too_many_pixels")


def test_directories_with_more_than_a_picture_has_are_refused() -> None:
    many = rgb_tiff(64, 64, offsets=(4, 5_000_000, 300))
    twice = bytearray(rgb_tiff(64, 64))
    twice[twice.index(struct.pack("<HHII", 257, 4, 1, 64))] = 0  # the height becomes a second width
    exif = tiff({34665: (4, 1, 60), 256: (4, 1, 8), 257: (4, 1, 8)}, bytes(10) + struct.pack("<H", 60_000))
    for data, why in ((many, "at most 100000 values"), (bytes(twice), "256 twice"), (exif, "got 60000")):
        with pytest.raises(PictureError, match=why):
            read_header(data)


def test_damaged_ones_raise_nothing_but_picture_errors() -> None:
    chance = random.Random(12)
    seeds = [
        *(saved(scene((48, 32)), kind) for kind in NEW),
        saved(scene((48, 32)), "AVIF", save_all=True, append_images=[scene((48, 32))]),
        saved(scene((48, 32)), "TIFF", compression="tiff_lzw"),
        saved(scene((48, 32)), "TIFF", big_tiff=True),
    ]
    for _ in range(1_500):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(min(len(data), 400))] = chance.randrange(256)
        try:
            assert tower_view(bytes(data)).size
        except PictureError:
            continue


@pytest.mark.parametrize("decode", [pixels, decode], ids=["ingest", "query"])
def test_sixteen_bits_with_a_transparent_colour_are_on_white(
    decode: Callable[[bytes, Frame], Pixels],
) -> None:
    frame = Frame(2, "squash")
    grey = png16(0, [(0x1234,), (0x8000,)], (0x1234,))
    assert decode(grey, frame)[0].tolist() == [[255] * 3, [127] * 3]
    red = png16(2, [(0x1234, 0x2222, 0x3333), (0x8000, 0, 0)], (0x1234, 0x2222, 0x3333))
    assert decode(red, frame)[0].tolist() == [[255] * 3, [128, 0, 0]]
    dark = png16(2, [(0x0012, 0x0034, 0x0001), (0x8000, 0, 0)], (0x0012, 0x0034, 0x0001))
    assert decode(dark, frame)[0].tolist() == [[255] * 3, [128, 0, 0]]


def swapped() -> bytes:
    """The profile of a device whose red is our green, so that its pixels have to be exchanged."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    places = {}
    for number in range(int.from_bytes(profile[128:132])):
        at = 132 + 12 * number
        places[bytes(profile[at : at + 4])] = at
    red, green = (bytes(profile[places[name] + 4 : places[name] + 12]) for name in (b"rXYZ", b"gXYZ"))
    profile[places[b"rXYZ"] + 4 : places[b"rXYZ"] + 12] = green
    profile[places[b"gXYZ"] + 4 : places[b"gXYZ"] + 12] = red
    at, length = struct.unpack_from(">II", profile, places[b"desc"] + 4)
    body = bytes(profile[at : at + length])
    profile[at : at + length] = body.replace(b"s\0R\0G\0B", b"o\0t\0h\0r").replace(b"sRGB", b"othr")
    return bytes(profile)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("size", [(60, 40), (1600, 1200)])
def test_colours_of_a_profile_are_srgb(kind: str, size: tuple[int, int]) -> None:
    red = saved(Image.new("RGB", size, (230, 20, 20)), kind, icc_profile=swapped())
    ways = [pixels(red, Frame(64, "squash"))]
    ways += [decode(red, Frame(64, "squash"))] if kind in TAKEN else []
    for found in ways:
        assert np.allclose(found[32, 32], (20, 230, 20), atol=12)
    plain = saved(
        Image.new("RGB", size, (230, 20, 20)),
        kind,
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    )
    assert np.allclose(pixels(plain, Frame(64, "squash"))[32, 32], (230, 20, 20), atol=6)


def test_a_profile_that_is_broken_or_of_other_colours_is_ignored() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (b"broken", swapped()[:200], lab, bytes(5 << 20)):
        for mode in ("RGB", "L", "CMYK"):
            image = Image.new("RGB", (20, 20), (200, 200, 200)).convert(mode)
            data = saved(image, "JPEG", icc_profile=profile[:60_000])
            for found in (decode(data, Frame(8)), pixels(data, Frame(8))):
                assert np.allclose(found[4, 4], 200, atol=4)


@pytest.mark.parametrize("kind", NEW)
def test_a_query_in_a_new_format_is_converted_and_others_are_not(kind: str) -> None:
    data = saved(scene(), kind)
    assert image_bytes(data) == as_taken(data)
    for other in (saved(scene(), "PNG"), b"no picture"):
        assert image_bytes(other) is other
    with pytest.raises(PictureError, match="expected a"):
        image_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("size", "form", "shown"), [((64, 32), "PNG", (64, 32)), ((3000, 1500), "JPEG", (896, 448))]
)
@pytest.mark.parametrize("kind", [*TAKEN, *NEW])
def test_a_page_shows_a_small_picture_of_every_format(
    kind: str, size: tuple[int, int], form: str, shown: tuple[int, int]
) -> None:
    out = thumbnail(saved(scene(size), kind))
    assert (read_header(out).format, opened(out).size) == (form, shown)
    assert off(np.asarray(opened(out)), np.asarray(scene(size).resize(shown))) < 9
