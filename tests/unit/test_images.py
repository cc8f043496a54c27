"""A picture's reference becomes pixels; whatever is wrong with it is one PictureError and little
memory."""

from __future__ import annotations

import base64
import io
import os
import random
import signal
import struct
import subprocess
import sys
import urllib.parse
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmsearch.errors import IngestError, PictureError
from mmsearch.images.decode import pixels
from mmsearch.images.header import read_header
from mmsearch.images.limits import MAX_BYTES
from mmsearch.images.preprocess import Prepared, Task, prepare
from mmsearch.images.process_pool import DecoderPool
from mmsearch.images.references import read, sha256
from mmsearch.serving.pictures.pixels import Frame
from mmsearch.stack.processes import identify

from .test_image_formats import BOMBS, HEAVY


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def halves(mode: str = "RGB", size: tuple[int, int] = (64, 32)) -> Image.Image:
    """Left half red, right half blue."""
    image = Image.new("RGB", size, "red")
    image.paste("blue", (size[0] // 2, 0, *size))
    return image.convert(mode)


FRAME = Frame(64, "squash")


def tower_view(data: bytes) -> Image.Image:
    """As a tower of 64 pixels sees it."""
    return Image.fromarray(pixels(data, FRAME))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_picture_is_told_by_its_header(kind: str) -> None:
    header = read_header(saved(halves(), kind))
    assert (header.format, header.width, header.height) == (kind, 64, 32)


@pytest.mark.parametrize("lossless", [True, False])
def test_webp_sizes_of_every_kind(lossless: bool) -> None:
    image = halves(size=(301, 77))
    for extra in ({}, {"exif": Image.Exif().tobytes()}):
        header = read_header(saved(image, "WEBP", lossless=lossless, **extra))
        assert (header.width, header.height) == (301, 77)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_large_picture_is_shrunk(kind: str) -> None:
    out = tower_view(saved(halves(size=(3000, 1500)), kind))
    assert out.size == (64, 64)
    assert np.allclose(out.getpixel((10, 10)), (255, 0, 0), atol=8)
    assert np.allclose(out.getpixel((54, 10)), (0, 0, 255), atol=8)


def test_orientation_is_undone() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter to the left, as telephones write it
    out = tower_view(saved(halves(), "JPEG", exif=exif))
    assert np.allclose(out.getpixel((16, 10)), (255, 0, 0), atol=8)


def test_cmyk_sixteen_bits_alpha_and_palettes_become_plain_rgb() -> None:
    assert np.allclose(tower_view(saved(halves("CMYK"), "JPEG")).getpixel((8, 8)), (255, 0, 0), atol=12)
    grey = Image.fromarray(np.full((40, 40), 40_000, np.uint16))
    assert np.allclose(tower_view(saved(grey, "PNG")).getpixel((8, 8)), [40_000 / 257] * 3, atol=3)
    glass = Image.new("RGBA", (2000, 2000), (0, 0, 0, 0))
    assert tower_view(saved(glass, "PNG")).getpixel((8, 8)) == (255, 255, 255)
    palette = halves(size=(2000, 2000)).quantize(4)
    assert np.allclose(tower_view(saved(palette, "GIF")).getpixel((8, 8)), (255, 0, 0), atol=8)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    data = saved(halves(), kind, save_all=True, append_images=[Image.new("RGB", (64, 32), "green")])
    out = tower_view(data)
    assert np.allclose(out.getpixel((8, 8)), (255, 0, 0), atol=8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_picture_cut_anywhere_is_refused_or_whole(kind: str) -> None:
    chance = np.random.default_rng(3)
    noise = Image.fromarray(chance.integers(0, 255, (64, 64, 3), np.uint8))
    data = saved(noise, kind)
    for at in range(0, len(data) - 40, max(1, len(data) // 60)):
        with pytest.raises(PictureError) as caught:
            tower_view(data[:at])
        assert caught.value.reason in ("truncated", "not_a_picture")


def test_references_that_leave_the_root_or_are_no_file(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "in.png").write_bytes(b"inside")
    (tmp_path / "secret").write_bytes(b"outside")
    (tmp_path / "root-beside").mkdir()
    (tmp_path / "root-beside" / "x").write_bytes(b"outside")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "folder-link").symlink_to(tmp_path)
    (root / "inner-link").symlink_to("in.png")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe")
    (root / "folder").mkdir()
    assert read("in.png", root) == read("./folder/../in.png", root) == read("inner-link", root) == b"inside"
    assert read(str(root / "in.png"), root) == b"inside"
    refused = {
        "../secret": "outside_root",
        "folder/../../secret": "outside_root",
        str(tmp_path / "secret"): "outside_root",
        "../root-beside/x": "outside_root",
        "link": "outside_root",
        "folder-link/secret": "outside_root",
        "/etc/passwd": "outside_root",
        "loop": "unreadable",
        "pipe": "unreadable",
        "folder": "unreadable",
        "nothing.png": "not_found",
        "in.png/x": "not_found",
        "nul\0.png": "bad_reference",
        "x" * 5000: "unreadable",
        "http://127.0.0.1/x.png": "url",
        "file:///etc/passwd": "url",
        "FILE:/etc/passwd": "url",
    }
    for reference, reason in refused.items():
        with pytest.raises(PictureError) as caught:
            read(reference, root)
        assert (reference, caught.value.reason) == (reference, reason)


def test_a_file_that_grows_while_it_is_read_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "growing.png"
    path.write_bytes(b"ab")
    real = os.fstat

    def grown(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        path.write_bytes(b"abcdefg")
        return found

    monkeypatch.setattr("mmsearch.images.references.os.fstat", grown)
    assert read("growing.png", tmp_path) == b"abcdefg"
    path.write_bytes(b"ab")
    with pytest.raises(PictureError, match="MB"):
        read("growing.png", tmp_path, most=5)


def test_data_uris() -> None:
    data = saved(halves(), "PNG")
    body = base64.b64encode(data).decode()
    assert read(f"data:image/png;base64,{body}", Path()) == data
    assert read(f"data:image/png;charset=x;BASE64,{body}", Path()) == data
    assert read(f"data:image/png;base64,{body.replace('+', '%2B')}", Path()) == data
    assert read("data:,a%20b", Path()) == b"a b"
    for form in (
        "data:;base64,{}",
        "data:base64;base64,{}",
        "DATA:image/png;charset=utf-8; Base64 ,{}",
        "  data:image/png;base64,\n{}\n",
        "data:image/png;base64,{}#top",
    ):
        for text in (body, body.rstrip("="), "\r\n ".join(body), urllib.parse.quote(body, safe="")):
            assert read(form.format(text), Path()) == data, form
    assert read("data:;base64,YWI", Path()) == read("data:;base64,YWI%3D", Path()) == b"ab"
    assert read("data:image/png;base64x,abc", Path()) == b"abc"
    assert read("data:;base64,#top", Path()) == b""
    for broken in ("data:;base64,a", "data:;base64,YWI==", "data:;base64,Y=I=", "data:;base64,YW-_"):
        with pytest.raises(PictureError, match="expected base64"):
            read(broken, Path())
    for broken in ("data:image/png;base64,!!!!", "data:image/png", "data:image/png;base64,abc-"):
        with pytest.raises(PictureError, match="expected"):
            read(broken, Path())
    with pytest.raises(PictureError, match="MB"):
        read("data:;base64," + "A" * ((MAX_BYTES // 3 + 2) * 4), Path())


def test_what_is_no_picture_is_named() -> None:
    for data, named in (
        (b"", "an empty file"),
        (b"hello\n", "a text file"),
        (b"<svg xmlns='x'/>", "SVG"),
        (b"<html>", "HTML"),
        (b"BP\x00\x00\x00\x00", "42500000"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
    ):
        with pytest.raises(PictureError, match=named) as caught:
            tower_view(data)
        assert caught.value.reason == "not_a_picture"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int, height: int, depth: int, colour: int, body: bytes, *before: bytes, interlaced: int = 0
) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(before) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def jpeg_head(width: int, height: int, marker: int = 0xC0) -> bytes:
    data = bytearray(saved(Image.new("RGB", (16, 16)), "JPEG", progressive=marker == 0xC2))
    at = data.index(bytes((0xFF, marker)))
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def gif(screen: tuple[int, int], frame: tuple[int, int]) -> bytes:
    data = bytearray(saved(Image.new("P", (16, 16)), "GIF"))
    data[6:10] = struct.pack("<HH", *screen)
    at = data.index(b"\x2c\x00\x00\x00\x00")
    data[at + 5 : at + 9] = struct.pack("<HH", *frame)
    return bytes(data)


def webp(width: int, height: int) -> bytes:
    body = bytes((0, 0, 0, 0)) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8X" + struct.pack("<I", 10) + body


def webp_lossless(width: int, height: int) -> bytes:
    data = bytearray(saved(Image.new("RGB", (16, 16)), "WEBP", lossless=True))
    at = data.index(b"VP8L") + 9
    data[at : at + 4] = struct.pack("<I", (width - 1) | (height - 1) << 14)
    return bytes(data)


def scans(count: int, size: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = saved(Image.new("RGB", (size, size), "red"), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def bombs() -> dict[str, bytes]:
    zeros = zlib.compress(bytes(20_000_000), 9)
    rows = zlib.compress(bytes(7_001 * 7_000), 9)
    found = {
        **{
            f"png {w} x {h}": png(w, h, 8, 2, zeros)
            for w, h in ((65_535, 65_535), (2**31 - 1, 1), (1, 2**31 - 1))
        },
        **{f"png {w} x {h} full": png(w, h, 8, 0, rows) for w, h in ((7_000, 7_000), (7_100, 7_100))},
        "png zero size": png(0, 0, 8, 2, zeros),
        "png 16 bits": png(7_000, 7_000, 16, 6, zeros),
        "png interlaced": png(7_000, 7_000, 8, 6, zeros, interlaced=1),
        "png one bit": png(60_000, 60_000, 1, 0, zeros),
        "png palette": png(7_000, 7_000, 8, 3, rows, chunk(b"PLTE", bytes(768))),
        "png text": png(8, 8, 8, 0, zlib.compress(bytes(72)), chunk(b"zTXt", b"k\0\0" + zeros)),
        "png many texts": png(
            8,
            8,
            8,
            0,
            zlib.compress(bytes(72)),
            *[chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(900_000)))] * 200,
        ),
        "png international text": png(
            8, 8, 8, 0, zlib.compress(bytes(72)), chunk(b"iTXt", b"k\0\x01\0\0\0" + zeros)
        ),
        "png colour profile": png(8, 8, 8, 0, zlib.compress(bytes(72)), chunk(b"iCCP", b"k\0\0" + zeros)),
        "png more data than rows": png(8, 8, 8, 0, zlib.compress(bytes(200_000_000), 9)),
        "png no data": png(7_000, 7_000, 8, 2, b""),
        "png huge chunk": b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 2**31 - 1, b"IHDR") + bytes(100),
        "png animated": png(7_000, 7_000, 8, 2, zeros, chunk(b"acTL", struct.pack(">II", 1_000_000, 0))),
        **{
            f"jpeg {w} x {h}": jpeg_head(w, h)
            for w, h in ((65_535, 65_535), (65_500, 760), (0, 100), (100, 0))
        },
        "jpeg progressive": jpeg_head(7_000, 7_000, 0xC2),
        "jpeg progressive 65k": jpeg_head(65_535, 700, 0xC2),
        "jpeg 3,000 scans": scans(3_000, 64),
        "jpeg 150 scans of 16 megapixels": scans(150, 4_000),
        "jpeg endless markers": b"\xff\xd8" + b"\xff" * 5_000_000,
        "jpeg empty segments": b"\xff\xd8\xff" + b"\xe0\x00\x02\xff" * 1_000_000,
        **{
            f"gif {screen} {frame}": gif(screen, frame)
            for screen, frame in (((65_535, 65_535), (16, 16)), ((1, 1), (65_535, 65_535)), ((0, 0), (0, 0)))
        },
        "gif endless extension": b"GIF89a" + bytes(7) + b"\x21\xfe" + b"\xff" * 5_000_000,
        "gif extensions": b"GIF89a" + bytes(7) + b"\x21\xfe\x00" * 1_000_000,
        **{
            f"webp {w} x {h}": webp(w, h)
            for w, h in ((16_777_216, 16_777_216), (7_000, 7_000), (16_383, 3_000))
        },
        **{f"webp lossless {w} x {h}": webp_lossless(w, h) for w, h in ((16_384, 16_384), (16_384, 2))},
        "webp of riff size": b"RIFF\xff\xff\xff\xffWEBPVP8L\xff\xff\xff\xff",
        "svg": b"<svg>" + b"<g>" * 1_000_000,
        "zip": b"PK\x03\x04" + bytes(1_000_000),
        "tiff": b"II*\x00\x08\x00\x00\x00" + bytes(100),
        **{name: make() for name, make in (BOMBS | HEAVY).items()},
    }
    assert len(found) >= 40
    return found


MEASURE = """
import sys, time
from pathlib import Path
from mmsearch.images import preprocess as p
p.set_limits()
def peak():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM"))
before = peak()
started = time.process_time()
(result,) = p.guarded([p.Task((sys.argv[1],), "")], Path("/"), p.Frame(224))
seconds = time.process_time() - started
grown = (peak() - before) / 1024
print(getattr(result, "reason", "taken"), f"{grown:.0f} {seconds:.2f}")
"""


@pytest.mark.slow
def test_fifty_bombs_cost_little_each(tmp_path: Path) -> None:
    outcomes = {}
    for name, data in bombs().items():
        path = tmp_path / "bomb"
        path.write_bytes(data)
        out = subprocess.run(
            [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, timeout=60, check=True
        ).stdout.split()
        outcomes[name] = (out[0], int(out[1]), float(out[2]))
    for name, outcome in outcomes.items():
        print(f"{name:40} {outcome}")
    assert max(megabytes for _, megabytes, _ in outcomes.values()) <= 250
    assert max(seconds for _, _, seconds in outcomes.values()) <= 2
    assert sum(reason == "taken" for reason, _, _ in outcomes.values()) <= 8


def test_a_few_bombs_are_refused_from_their_headers() -> None:
    found = bombs()
    for name in ("png 65535 x 65535", "jpeg 65535 x 65535", "gif (1, 1) (65535, 65535)", "webp 7000 x 7000"):
        with pytest.raises(PictureError) as caught:
            tower_view(found[name])
        assert caught.value.reason == "too_many_pixels"


def test_damaged_pictures_raise_nothing_but_picture_errors() -> None:
    chance = random.Random(11)
    seeds = [
        saved(halves(), "JPEG"),
        saved(halves(), "JPEG", progressive=True),
        saved(halves(), "PNG"),
        saved(halves().quantize(4), "PNG"),
        saved(halves(), "WEBP"),
        saved(halves(), "WEBP", lossless=True),
        saved(halves(), "GIF"),
    ]
    for _ in range(1_500):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(min(len(data), 200))] = chance.randrange(256)
        try:
            assert tower_view(bytes(data))
        except PictureError:
            continue


def test_decoders_answer_in_order_and_outlive_a_worker(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(saved(halves(), "GIF"))
    (tmp_path / "b.png").write_bytes(b"no picture")
    decoders = DecoderPool(tmp_path, FRAME, 1)
    try:
        tasks = [Task(("a.gif",), ""), Task(("b.png",), ""), Task(("c.png",), "")]
        first = decoders.submit(tasks)
        results = decoders.result(first)
        assert isinstance(results[0], Prepared)
        assert [getattr(result, "reason", "") for result in results] == ["", "not_a_picture", "not_found"]
        known = results[0].digest
        assert decoders.result(decoders.submit([Task(("a.gif",), known)])) == [Prepared(known, ())]
        # A worker is killed, as the kernel does when memory is short.
        (process,) = decoders._idle
        process._process.kill()
        process._process.wait()
        assert decoders.result(decoders.submit(tasks[:1])) == results[:1]
        assert decoders.result(decoders.submit(tasks[:1])) == results[:1]
    finally:
        decoders.close()


def test_unchanged_pictures_are_told_without_a_process(tmp_path: Path) -> None:
    data = saved(halves(), "PNG")
    (tmp_path / "a.png").write_bytes(data)
    decoders = DecoderPool(tmp_path, FRAME, 1)
    try:
        known = sha256(data)[:32]
        for reference in ("a.png", tmp_path / "a.png"):
            assert decoders.result(decoders.submit([Task((reference,), known)])) == [Prepared(known, ())]
        assert decoders.started == 0
        tasks = [Task(("a.png",), "of another"), Task(("nowhere.png",), known), Task(("a.png",), "")]
        results = decoders.result(decoders.submit(tasks))
        # Errors are not equal, but say the same.
        assert list(map(repr, results)) == [repr(prepare(task, tmp_path, FRAME)) for task in tasks]
        assert decoders.started == 1
    finally:
        decoders.close()


def test_a_set_without_a_picture_tower_takes_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved(halves(), "PNG"))
    for processes in (0, 1):
        decoders = DecoderPool(tmp_path, None, processes)
        try:
            (result,) = decoders.result(decoders.submit([Task(("a.png",), "")]))
            assert isinstance(result, PictureError)
            assert result.reason == "no_picture_tower"
            assert decoders.started == 0
        finally:
            decoders.close()


def test_one_picture_among_several_that_fails_fails_the_product(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(saved(halves(), "GIF"))
    result = prepare(Task(("a.gif", "b.png"), ""), tmp_path, FRAME)
    assert isinstance(result, PictureError)
    assert result.reason == "not_found"


def test_a_picture_that_ends_its_decoder_is_told_and_the_others_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.gif").write_bytes(saved(halves(), "GIF"))
    (tmp_path / "deadly.png").write_bytes(b"x")
    deadly = (
        "import os; from mmsearch.images import preprocess as p; real = p.read;"
        "p.read = lambda reference, root: os._exit(9) if 'deadly' in reference else real(reference, root);"
        "p.main()"
    )
    monkeypatch.setattr("mmsearch.images.process_pool.PROGRAM", deadly)
    decoders = DecoderPool(tmp_path, FRAME, 1)
    try:
        tasks = [Task((name,), "") for name in ("a.gif", "deadly.png", "a.gif", "deadly.png", "a.gif")]
        for _ in range(2):
            results = decoders.result(decoders.submit(tasks))
            reasons = [getattr(result, "reason", "taken") for result in results]
            assert reasons == ["taken", "kills_decoder", "taken", "kills_decoder", "taken"]
    finally:
        decoders.close()


# As a user's program may be: what is at its top level runs once, whatever the decoders import.
UNGUARDED = """
import sys, time
from pathlib import Path
from mmsearch.images.preprocess import Task
from mmsearch.images.process_pool import DecoderPool
from mmsearch.serving.pictures.pixels import Frame
decoders = DecoderPool(Path.cwd(), Frame(64), 1)
(result,) = decoders.result(decoders.submit([Task(("a.gif",), "")]))
print(type(result).__name__, decoders._idle[0]._process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_decoder_ends_with_its_parent_and_imports_nothing_of_the_folder_it_runs_in(
    tmp_path: Path, number: signal.Signals
) -> None:
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    (catalog / "a.gif").write_bytes(saved(halves(), "GIF"))
    for name in ("PIL", "numpy", "pickle", "mmsearch", "loky", "multiprocessing"):
        (catalog / f"{name}.py").write_text("raise SystemExit('a module of the folder was imported')")
    program = tmp_path / "program.py"
    program.write_text(UNGUARDED)
    with subprocess.Popen(
        [sys.executable, str(program)], cwd=catalog, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        kind, pid = parent.stdout.readline().split()
        decoder = identify(int(pid))
        parent.send_signal(number)
    assert kind == "Prepared"
    assert decoder is None or decoder.wait(10)


def test_decoders_that_do_not_start_are_no_fault_of_the_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmsearch.images.process_pool.PROGRAM", "raise SystemExit(3)")
    decoders = DecoderPool(tmp_path, FRAME, 1)
    try:
        with pytest.raises(IngestError, match="expected a decoder process to start, got exit code 3"):
            decoders.result(decoders.submit([Task(("a.gif",), "")]))
    finally:
        decoders.close()
