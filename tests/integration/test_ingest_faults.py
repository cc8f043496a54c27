"""F1 to F4: killed runs, servers that go away, overload, and rotten catalogs. Short here, in full when
slow."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from PIL import Image

from mmsearch.products.record import MAX_LINE_BYTES

from ..fakes.fake_opensearch import AnswerError, FakeOpenSearch
from ..fakes.fake_triton import FakeTriton, RefuseError, Row
from ..fakes.ingesting import Catalog, picture
from ..unit.test_records import BAD

MMSEARCH = [sys.executable, "-c", "from mmsearch.cli.main import main; main()"]
BATCH = 32
MOST_IN_FLIGHT = 8


def short(*values: int) -> Any:
    """Of seconds rather than minutes, with servers of its own."""
    return pytest.param(*values, marks=pytest.mark.integration)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with FakeTriton(keep=False) as triton, FakeOpenSearch() as node:
        yield Catalog(tmp_path, triton, node)


def products(count: int) -> list[dict[str, Any]]:
    return [{"id": f"p{number}", "title": f"thing {number}", "price": number} for number in range(count)]


def started(catalog: Catalog, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*MMSEARCH, "ingest", str(catalog.path), "--processes", "0", "--json", *options],
        env={
            **os.environ,
            "MMSEARCH_OPENSEARCH": catalog.node.url,
            "MMSEARCH_TRITON": catalog.triton.url,
            "MMSEARCH_CACHE": str(catalog.folder / "cache"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def undisturbed(tmp_path: Path, lines: Sequence[Any]) -> dict[str, Any]:
    """What the index holds after a run in which nothing happens."""
    folder = tmp_path / "undisturbed"
    folder.mkdir()
    with FakeTriton(keep=False) as triton, FakeOpenSearch() as node:
        calm = Catalog(folder, triton, node)
        calm.write(*lines)
        calm.ingest()
        return node.sources()


@pytest.mark.parametrize(
    ("count", "kills"),
    [short(400, 2), pytest.param(10_000, 100, marks=pytest.mark.slow)],
    ids=["short", "full"],
)
def test_f1_a_killed_run_goes_on_where_it_was(
    catalog: Catalog, tmp_path: Path, count: int, kills: int
) -> None:
    """`kill -9` at random moments, counted in requests to either server; then the same command to its end."""
    chance = random.Random(1)
    lines = products(count)
    catalog.write(*lines)
    process: subprocess.Popen[bytes] | None = None
    encoded: Counter[bytes] = Counter()
    lock = threading.Lock()
    left = 0

    def moment() -> None:
        nonlocal left
        with lock:
            left -= 1
            if left == 0 and process is not None:
                process.kill()

    def encoding(rows: Sequence[Row]) -> None:
        encoded.update(text for text, _ in rows)
        moment()
        time.sleep(0.002)

    def asking(method: str, path: str) -> None:
        if path.endswith(("_bulk", "_mget")):
            moment()

    catalog.triton.fault = encoding
    catalog.node.request_fault = asking
    done = 0
    # Requests of one run, so that every part of it is as likely; a run that gets through counts as no kill.
    most = 2 + count // BATCH // max(1, kills // 25)
    while done < kills:
        left = chance.randrange(1, most)
        process = started(catalog)
        process.communicate(timeout=120)
        done += process.returncode == -signal.SIGKILL
        if process.returncode == 0:
            # All is in: start over with other texts for a part, so that there is something to kill.
            for line in chance.sample(lines, count // 3):
                line["title"] += "!"
            catalog.write(*lines)
        else:
            assert process.returncode == -signal.SIGKILL
    left = -1
    process = started(catalog)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert json.loads(out)["indexed"] == count
    again = sum(encoded.values()) - len(encoded)
    print(f"F1: {kills} kills, {count} products, {len(encoded)} texts, {again} encoded again")
    assert catalog.node.sources() == undisturbed(tmp_path, lines)
    assert again <= kills * MOST_IN_FLIGHT * BATCH


@contextlib.contextmanager
def stub_triton(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """The fake as a process of its own, that can be killed and stopped."""
    script = Path(__file__).parents[1] / "fakes" / "fake_triton.py"
    process = subprocess.Popen(
        [sys.executable, str(script), "--port", str(port), "--dimension", "8", "--seconds", "0.01"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip().endswith(str(port))
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.mark.parametrize(
    ("count", "times", "restarts"),
    [short(1_000, 1, 1), pytest.param(10_000, 20, 5, marks=pytest.mark.slow)],
    ids=["short", "full"],
)
def test_f2_servers_that_go_away_are_waited_for(
    tmp_path: Path, count: int, times: int, restarts: int
) -> None:
    """Triton killed and stopped, OpenSearch restarted; the run goes on within 5 s of each return by
    itself."""
    chance = random.Random(2)
    lines = products(count)
    with FakeTriton() as spare:
        port = spare.port
    events = ["kill"] * times + ["stop"] * times + ["restart"] * restarts
    chance.shuffle(events)
    resumed: list[float] = []
    with contextlib.ExitStack() as servers, FakeOpenSearch() as node, FakeTriton(keep=False) as unused:
        stub = contextlib.ExitStack()
        servers.callback(stub.close)
        triton = stub.enter_context(stub_triton(tmp_path, port))
        catalog = Catalog(tmp_path, unused, node)
        unused.url = f"127.0.0.1:{port}"
        catalog.write(*lines)
        report: list[Any] = []
        runner = threading.Thread(
            target=lambda: report.append(catalog.ingest(patience=120.0, bulk_items=64, batch=8))
        )
        runner.start()

        def written() -> int:
            return sum(map(len, node.documents.values()))

        def goes_on(before: int, within: float) -> float:
            since = time.monotonic()
            while written() <= before and runner.is_alive() and time.monotonic() - since < within:
                time.sleep(0.02)
            return time.monotonic() - since

        assert goes_on(0, 30) < 30
        for event in events:
            if not runner.is_alive():
                # Done already: other texts, so that there is something to disturb.
                for line in lines:
                    line["title"] += "!"
                catalog.write(*lines)
                runner = threading.Thread(
                    target=lambda: report.append(catalog.ingest(patience=120.0, bulk_items=64, batch=8))
                )
                runner.start()
                time.sleep(0.5)
            time.sleep(chance.uniform(0.1, 0.4))
            if event == "kill":
                stub.close()
                time.sleep(chance.uniform(0.1, 1.0))
                triton = stub.enter_context(stub_triton(tmp_path, port))
            elif event == "stop":
                triton.send_signal(signal.SIGSTOP)
                time.sleep(chance.uniform(0.1, 1.0))
                triton.send_signal(signal.SIGCONT)
            else:
                node.stop()
                time.sleep(chance.uniform(0.1, 1.0))
                node.start()
            bulks = len(node.bulks)
            since = time.monotonic()
            while len(node.bulks) == bulks and runner.is_alive() and time.monotonic() - since < 30:
                time.sleep(0.02)
            resumed.append(time.monotonic() - since)
        runner.join(120)
        assert not runner.is_alive()
        final = node.sources()
    print(f"F2: {len(events)} faults, goes on after {max(resumed):.1f} s at most")
    assert max(resumed) <= 5
    assert all(each.indexed == count and each.rejected == 0 for each in report)
    assert final == undisturbed(tmp_path, lines)


@pytest.mark.parametrize(
    "count", [short(3_000), pytest.param(50_000, marks=pytest.mark.slow)], ids=["short", "full"]
)
def test_f3_an_overloaded_node_gets_everything_in_the_end(catalog: Catalog, count: int) -> None:
    """30 % of the items put off with 429, 10 % of the requests with 503, 5 % of the answers cut in the
    middle."""
    chance = random.Random(3)
    catalog.write(*products(count))
    requests = 0

    def request_fault(method: str, path: str) -> None:
        nonlocal requests
        if path.endswith("_bulk"):
            requests += 1
            if chance.random() < 0.1:
                raise AnswerError(503)

    catalog.node.request_fault = request_fault
    catalog.node.item_fault = lambda identifier: 429 if chance.random() < 0.3 else 0
    catalog.node.cut = lambda: chance.random() < 0.05
    report = catalog.ingest(bulk_items=100, patience=60.0)
    assert (report.indexed, report.rejected) == (count, 0)
    assert len(catalog.node.sources()) == count
    # What nobody could do without: each document is sent until it is taken, in full requests.
    ideal = count / 100 / (0.7 * 0.9 * 0.95)
    print(
        f"F3: {count} products, {requests} bulk requests, ideal {ideal:.0f}, ratio {requests / ideal:.2f}; "
        f"{catalog.node.most_in_flight} in flight at most"
    )
    assert requests <= 1.6 * ideal
    assert catalog.node.most_in_flight <= 4


def rotten(folder: Path, chance: random.Random) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Lines by kind: such as must be rejected, and such as only look odd. `ID` stands for an id."""
    (folder / "pictures").mkdir()

    def stored(name: str, data: bytes) -> str:
        (folder / "pictures" / name).write_bytes(data)
        return f"pictures/{name}"

    def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
        out = io.BytesIO()
        image.save(out, kind, **options)
        return out.getvalue()

    def with_picture(reference: str) -> bytes:
        return json.dumps({"id": "ID", "title": "t", "image": reference}).encode()

    red = Image.new("RGB", (40, 30), "red")
    jpeg = saved(Image.effect_noise((60, 60), 50), "JPEG")
    with (folder / "pictures" / "big.png").open("wb") as file:
        file.truncate(30_000_000)
    (folder.parent / "outside.png").write_bytes(picture())
    bad = {
        # Whole records that are read by the same parser, some of them with their own id.
        **{f"record: {kind}": raw for kind, (raw, _, _) in BAD.items() if len(raw) < 100_000},
        "text too long": b'{"id": "ID", "title": "' + b"x" * 1_100_000 + b'"}',
        "picture cut": with_picture(stored("cut.jpg", jpeg[: len(jpeg) // 2])),
        "picture empty": with_picture(stored("empty.png", b"")),
        "picture is text": with_picture(stored("text.png", b"hello")),
        "picture is SVG": with_picture(stored("drawn.png", b"<svg xmlns=''/>")),
        "picture too big": with_picture("pictures/big.png"),
        "picture missing": with_picture("pictures/nowhere.png"),
        "picture outside": with_picture("../outside.png"),
        "picture is a folder": with_picture("pictures"),
        "picture by URL": with_picture("https://shop.example/x.png"),
        "picture in bad base64": with_picture("data:image/png;base64,%%%"),
        "nothing to encode": b'{"id": "ID", "price": 3}',
        "refused by the encoder": b'{"id": "ID", "title": "refuse me"}',
        "refused by the index": b'{"id": "unwanted-ID", "title": "t"}',
    }
    odd = {
        "byte order mark": b'\xef\xbb\xbf{"id": "ID", "title": "t"}',
        "carriage return": b'{"id": "ID", "title": "t"}\r',
        "CMYK": with_picture(stored("cmyk.jpg", saved(red.convert("CMYK"), "JPEG"))),
        "animated": with_picture(
            stored("move.gif", saved(red, "GIF", save_all=True, append_images=[Image.new("RGB", (40, 30))]))
        ),
        "alpha": with_picture(stored("glass.png", saved(red.convert("RGBA"), "PNG"))),
        "data URI": b'{"id": "ID", "image": "data:image/gif;base64,'
        b'R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"}',
        "numbers as text": b'{"id": "ID", "title": 17, "price": "3.5"}',
    }
    return bad, odd


@pytest.mark.parametrize(
    "count", [2_000, pytest.param(100_000, marks=pytest.mark.slow)], ids=["short", "full"]
)
def test_f4_a_rotten_catalog_costs_only_what_is_rotten(catalog: Catalog, count: int) -> None:
    """5 % bad lines of more than 30 kinds among good and odd ones; the fixed file then goes in whole."""
    chance = random.Random(4)
    bad, odd = rotten(catalog.folder, chance)
    assert len(bad) >= 30
    lines: list[bytes] = []
    expected: dict[int, str] = {}
    good: set[str] = set()
    kinds, oddities = list(bad), list(odd)
    for number in range(1, count + 1):
        identifier = f"p{number}"
        if chance.random() < 0.05:
            kind = kinds[len(expected) % len(kinds)]
            lines.append(bad[kind].replace(b"ID", identifier.encode()))
            expected[number] = kind
            continue
        good.add(identifier)
        if chance.random() < 0.05:
            lines.append(odd[chance.choice(oddities)].replace(b"ID", identifier.encode()))
        else:
            lines.append(json.dumps({"id": identifier, "title": f"thing {number}"}).encode())
    lines.append(b"z" * (MAX_LINE_BYTES + 1))
    expected[count + 1] = "line too long"

    def refuse(rows: Sequence[Row]) -> None:
        if any(text == b"refuse me" for text, _ in rows):
            raise RefuseError(grpc.StatusCode.INVALID_ARGUMENT, "told to")

    catalog.triton.fault = refuse
    catalog.node.item_fault = lambda identifier: 400 if identifier.startswith("unwanted") else 0
    catalog.write(*lines)
    report = catalog.ingest()
    rejected = {entry["line"]: entry for entry in catalog.rejected()}
    print(f"F4: {count} lines, {report.rejected} rejected of {len(set(expected.values()))} kinds")
    assert set(catalog.node.sources()) == good
    assert set(rejected) == set(expected)
    assert report.read == report.indexed + report.rejected == count + 1
    for number, entry in rejected.items():
        assert entry["stage"] in ("read", "image", "encode", "index"), entry
        assert entry["reason"], expected[number]
        assert entry["message"].startswith("expected "), entry
        if b"ID" in bad.get(expected[number], b""):
            assert entry["id"].removeprefix("unwanted-") == f"p{number}"
    # Mended where they stand: each bad line becomes a plain record under its own number.
    fixed = [
        json.dumps(
            {"line": number, "stage": "read", "record": {"id": f"fixed{number}", "title": f"m {number}"}}
        )
        for number in sorted(expected)
    ]
    rejects = catalog.folder / "fixed.jsonl"
    rejects.write_text("\n".join(fixed) + "\n", encoding="utf-8")
    report = catalog.ingest(catalog=str(rejects), retry=True, rejects=catalog.folder / "still.jsonl")
    assert (report.indexed, report.rejected) == (len(expected), 0)
    assert set(catalog.node.sources()) == good | {f"fixed{number}" for number in expected}


def test_two_runs_at_once_leave_the_same_index(catalog: Catalog, tmp_path: Path) -> None:
    lines = products(600)
    catalog.write(*lines)
    begun = threading.Event()

    def encoding(rows: Sequence[Row]) -> None:
        begun.set()
        time.sleep(0.05)

    catalog.triton.fault = encoding
    other = started(catalog, "--rejects", str(tmp_path / "other.jsonl"))
    assert begun.wait(60), "the other run did not get to its first batch"
    assert catalog.ingest().indexed == 600
    out, err = other.communicate(timeout=120)
    assert other.returncode == 0, err
    assert json.loads(out)["indexed"] == 600
    assert catalog.node.sources() == undisturbed(tmp_path, lines)
