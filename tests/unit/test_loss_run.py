"""A run that loses something says what, how many and why: in its sentence, `--json`, metrics and exit code.

The numbers in the names are those of the faults that each test was written for.
"""

from __future__ import annotations

import http.server
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from urllib3.connection import HTTPConnection

from mmsearch.cli.main import cli
from mmsearch.clients.retry import Patience
from mmsearch.errors import AwayError, FolderError, RottenError
from mmsearch.images.concurrent_fetch import ConcurrentFetch
from mmsearch.images.decode import pixels
from mmsearch.images.fetch import Fetch
from mmsearch.ingest.reporting.metrics import MetricsFile
from mmsearch.ingest.reporting.stats import Stats
from mmsearch.products.rejects import beside
from mmsearch.serving.pictures.images import decode
from mmsearch.serving.pictures.pixels import Frame

from ..fakes.fake_opensearch import FakeOpenSearch
from ..fakes.fake_triton import FakeTriton
from ..fakes.ingesting import Catalog


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with FakeTriton() as triton, FakeOpenSearch() as node:
        yield Catalog(tmp_path, triton, node)


def command(catalog: Catalog, *arguments: str, path: Path | None = None) -> Result:
    return CliRunner().invoke(
        cli,
        [
            *("ingest", str(path or catalog.path), "--opensearch", catalog.node.url),
            *("--triton", catalog.triton.url, "--processes", "0", "--give-up-after", "2", *arguments),
        ],
    )


def without_pictures(catalog: Catalog, count: int = 7) -> None:
    (catalog.folder / "text.png").write_text("no picture", encoding="utf-8")
    catalog.write(
        *({"id": f"a{n}", "title": f"t{n}", "image": f"gone{n}.png"} for n in range(count)),
        {"id": "b", "title": "b", "image": "text.png"},
        {"id": "c", "title": "c"},
    )


def test_loss_04_products_without_their_picture_are_counted_by_reason(catalog: Catalog) -> None:
    without_pictures(catalog)
    metrics = catalog.folder / "m.prom"
    result = command(catalog, "--on-bad-image", "text-only", "--metrics-file", str(metrics))
    assert result.exit_code == 0
    assert "9 indexed, 0 rejected, 8 without a picture (7 not_found, 1 not_a_picture)" in result.output
    assert 'mmsearch_ingest_without_image{index="products",reason="not_found"} 7' in metrics.read_text()
    # What comes in unchanged the next time still lacks its picture.
    again = json.loads(command(catalog, "--on-bad-image", "text-only", "--json").stdout.splitlines()[-1])
    assert (again["unchanged"], again["without_image"]) == (9, 8)
    assert again["reasons"] == {"without_image": {"not_found": 7, "not_a_picture": 1}}
    dry = command(catalog, "--on-bad-image", "text-only", "--dry-run")
    assert "8 without a picture (7 not_found, 1 not_a_picture)" in dry.output


def test_loss_04_more_without_a_picture_than_allowed_is_a_failure(catalog: Catalog) -> None:
    without_pictures(catalog)
    with pytest.raises(RottenError, match=r"at most 7 products without a picture, got 8 of 9 lines, 7 for"):
        catalog.ingest(text_only=True, max_without_image=(7, 1.0))
    assert catalog.ingest(text_only=True, max_without_image=(8, 1.0)).without_image == 8
    result = command(catalog, "--on-bad-image", "text-only", "--max-without-image", "50%")
    assert result.exit_code == 1
    assert "expected at most 50.0% products without a picture, got 8" in result.output


def test_loss_08_each_catalog_and_slice_has_its_own_rejects() -> None:
    names = [
        beside("d/p.jsonl"),
        beside("d/p.csv"),
        beside("d/p.jsonl.gz"),
        beside("d/shop.2026-10.jsonl"),
        beside("d/shop.2026-11.jsonl"),
        *(beside("d/p.jsonl", (number, 4)) for number in (1, 2, 3, 4)),
        beside("d/p.jsonl", dry_run=True),
    ]
    assert len(set(names)) == len(names)
    assert str(names[0]) == "d/p.rejects.jsonl"
    assert str(names[6]) == "d/p.2-of-4.rejects.jsonl"


def test_loss_08_slices_side_by_side_keep_all_their_rejects(catalog: Catalog) -> None:
    catalog.write(*({"id": str(n), "title": f"chair {n}", "price": "cheap"} for n in range(40)))
    found: list[Result] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(command(catalog, "--slice", f"{n}/4")))
        for n in (1, 2, 3, 4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {result.exit_code for result in found} == {3}
    files = [catalog.folder / f"catalog.{n}-of-4.rejects.jsonl" for n in (1, 2, 3, 4)]
    ids = [json.loads(line)["id"] for file in files for line in file.read_text().splitlines()]
    assert sorted(ids, key=int) == [str(n) for n in range(40)]


def test_loss_08_a_clean_run_deletes_no_other_runs_rejects(catalog: Catalog) -> None:
    shared = catalog.folder / "shared.jsonl"
    catalog.write("broken", {"id": "1", "title": "a"})
    assert command(catalog, "--rejects", str(shared)).exit_code == 3
    before = shared.read_bytes()
    other = catalog.folder / "other.jsonl"
    other.write_text('{"id": "2", "title": "b"}\n', encoding="utf-8")
    for path, arguments in (
        (other, []),
        (catalog.path, ["--slice", "1/2"]),
        (catalog.path, ["--dry-run"]),
    ):
        result = command(catalog, "--rejects", str(shared), *arguments, path=path)
        assert result.exit_code == 1
        assert "choose another file by --rejects" in result.output
        assert shared.read_bytes() == before
    # The same run again is the one that may.
    catalog.write({"id": "1", "title": "a"})
    assert command(catalog, "--rejects", str(shared)).exit_code == 0
    assert not shared.exists()


def test_loss_08_two_pipes_have_two_files(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        result = CliRunner().invoke(
            cli,
            ["ingest", "-", "--opensearch", catalog.node.url, "--triton", catalog.triton.url],
            input=f'{{"broken": {number}\n',
        )
        assert result.exit_code == 3, result.output
    raw = [
        json.loads((tmp_path / name).read_text())["raw"]
        for name in ("stdin.rejects.jsonl", "stdin.2.rejects.jsonl")
    ]
    assert raw == ['{"broken": 1', '{"broken": 2']


def test_loss_08_a_retried_slice_may_be_ingested_again(catalog: Catalog) -> None:
    catalog.write({"id": "1", "title": "a", "price": "cheap"}, {"id": "2", "title": "b", "price": "cheap"})
    servers = ["--opensearch", catalog.node.url, "--triton", catalog.triton.url]
    assert command(catalog, "--slice", "1/1").exit_code == 3
    for number in (1, 2):
        rejects = catalog.folder / f"catalog.{number}-of-2.rejects.jsonl"
        result = command(catalog, "--slice", f"{number}/2")
        if result.exit_code == 3:
            assert CliRunner().invoke(cli, ["retry", str(rejects), *servers]).exit_code == 3
            assert command(catalog, "--slice", f"{number}/2").exit_code == 3


class PictureHost(http.server.BaseHTTPRequestHandler):
    """Answers 503 and `Retry-After` as `/VALUE` says."""

    def do_GET(self) -> None:
        self.send_response(503)
        self.send_header("Retry-After", self.path.strip("/"))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


@pytest.mark.parametrize("value", ["-1", "nan", "-inf", "inf"])
def test_loss_09_a_host_may_say_anything_about_when_to_come_back(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setattr("mmsearch.images.fetch.time.sleep", lambda seconds: sleeps.append(seconds))
    sleeps: list[float] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), PictureHost)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def here(folder: Path) -> Fetch:
        return Fetch(
            folder,
            lookup=lambda host, port: ["93.184.216.34"],
            dial=lambda where, seconds: HTTPConnection("127.0.0.1", server.server_port, timeout=seconds),
        )

    monkeypatch.setattr("mmsearch.ingest.runner.Fetch", here)
    catalog.write(
        *({"id": str(n), "title": f"chair {n}"} for n in range(5)),
        {"id": "u", "title": "x", "image": f"http://shop.example/{value}"},
    )
    try:
        report = catalog.ingest(fetch=True, pictures=catalog.folder / "pictures")
    finally:
        server.shutdown()
        server.server_close()
    assert (report.indexed, report.reasons) == (5, {"http_503": 1})
    assert sleeps
    assert all(0 <= seconds <= 10 for seconds in sleeps)


def test_loss_09_whatever_fetching_raises_is_about_that_picture() -> None:
    def broken(url: str) -> Path:
        raise ZeroDivisionError("odd")

    fetching = ConcurrentFetch(broken)
    (future,) = fetching.start(["http://shop.example/a"])
    error = future.exception(10)
    fetching.close()
    assert getattr(error, "reason", "") == "fetch_failed"
    assert "ZeroDivisionError" in str(error)


def test_loss_d12_fetches_that_are_under_way_are_not_waited_for() -> None:
    go_on = threading.Event()

    def slow(url: str) -> Path:
        go_on.wait(30)
        return Path()

    fetching = ConcurrentFetch(slow, at_once=2)
    (future,) = fetching.start(["http://shop.example/a"])
    fetching.close()
    assert not future.done()
    go_on.set()
    assert future.result(10) == Path()


def test_loss_10_a_rejects_file_that_cannot_be_written_is_one_sentence(catalog: Catalog) -> None:
    catalog.write('{"broken"')
    result = command(catalog, "--rejects", str(catalog.folder / "no" / "such" / "r.jsonl"), "--json")
    assert result.exit_code == 1
    assert "mmsearch: expected to write rejects to " in result.stderr
    assert "No such file or directory; choose a file" in result.stderr
    (summary,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert summary["error"].startswith("expected to write rejects to ")
    assert (summary["exit_code"], summary["read"]) == (1, 1)


def test_loss_10_a_full_disk_under_the_journal_is_one_sentence(catalog: Catalog) -> None:
    catalog.write(*({"id": str(n), "title": f"chair {n}"} for n in range(400)))
    program = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY));"
        "from mmsearch.cli.main import main; main()"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", program, "ingest", str(catalog.path), "--processes", "0"),
            *("--opensearch", catalog.node.url, "--triton", catalog.triton.url, "--language", "en"),
        ],
        env={**os.environ, "MMSEARCH_CACHE": str(catalog.folder / "cache")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("mmsearch: expected to write the journal ")
    assert "MMSEARCH_CACHE" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_loss_10_a_rejects_file_of_a_run_beside_is_not_written_over(catalog: Catalog) -> None:
    catalog.write({"id": "1", "title": "a", "image": "gone.png"})
    path = catalog.job.rejects
    assert catalog.ingest(rejects=catalog.folder / "first.jsonl").rejected == 1

    # Between the start, which finds no file, and the first reject another run makes one.
    def fault(method: str, asked: str) -> None:
        if asked.endswith("_mget"):
            path.write_text("theirs\n", encoding="utf-8")

    catalog.node.request_fault = fault
    with pytest.raises(FolderError, match="expected to be the only run that writes rejects to"):
        catalog.ingest()
    assert path.read_text(encoding="utf-8") == "theirs\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_loss_11_a_signal_leaves_the_final_state(tmp_path: Path, number: signal.Signals) -> None:
    with FakeTriton(seconds=0.3) as triton, FakeOpenSearch() as node:
        catalog = Catalog(tmp_path, triton, node)
        catalog.write(*({"id": str(n), "title": f"chair {n}"} for n in range(3000)))
        metrics = tmp_path / "m.prom"
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mmsearch", "ingest", str(catalog.path), "--processes", "0"),
                *("--opensearch", node.url, "--triton", triton.url, "--json"),
                *("--metrics-file", str(metrics)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "MMSEARCH_CACHE": str(tmp_path / "cache")},
            # Under nohup the signal would be ignored, and rightly.
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
        )
        until = time.monotonic() + 60
        while not triton.rows and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert (
        f"mmsearch: stopped by {number.name}; indexed products remain, continue with: mmsearch ingest" in err
    )
    summary = json.loads(out)
    assert summary["error"].startswith(f"stopped by {number.name}")
    assert summary["exit_code"] == 1
    text = metrics.read_text(encoding="utf-8")
    assert 'mmsearch_ingest_running{index="products"} 0.0\n' in text
    assert 'mmsearch_ingest_exit_code{index="products"} 1.0\n' in text


@pytest.mark.parametrize("arguments", [("--opensearch", "http://127.0.0.1:1"), ("--triton", "127.0.0.1:1")])
def test_loss_11_json_prints_its_object_when_the_run_fails(
    catalog: Catalog, arguments: tuple[str, str]
) -> None:
    catalog.write({"id": "1", "title": "a"})
    for more in ([], ["--log-json"]):
        result = command(catalog, "--json", *arguments, *more)
        assert result.exit_code == 1
        summary = json.loads(result.stdout)
        assert summary["error"].startswith("expected ")
        assert (summary["exit_code"], summary["indexed"]) == (1, 0)
    missing = command(catalog, "--json", path=catalog.folder / "no.jsonl")
    assert json.loads(missing.stdout)["error"].startswith("expected a catalog at ")
    retry = CliRunner().invoke(cli, ["retry", str(catalog.folder / "no.jsonl"), "--json"])
    assert json.loads(retry.stdout)["error"].startswith("expected a rejects file at ")


def test_loss_15_rejects_are_counted_with_reasons_and_examples(catalog: Catalog) -> None:
    odd = [
        *[b"broken"] * 6,
        *[b'{"title": "no id"}'] * 5,
        *[b'{"id": "p", "title": "a", "price": "cheap"}'] * 4,
        *[b'{"id": "x", "title": "a", "image": "gone.png"}'],
        b'{"id": "y"}',
        b'{"id": "z", "title": {}}',
        b'{"id": "w", "title": "1", "id": "w"}',
    ]
    catalog.write(*odd)
    result = command(catalog)
    assert result.exit_code == 3
    closing = result.stdout.splitlines()[-1]
    lines = [line for line in result.stderr.splitlines() if " rejected, " in line and "such as" in line]
    # Six not_json, five missing_id, five wrong_type, and of what is there once three fit no more than two.
    assert len(lines) == 5
    assert "6 rejected, not_json: such as line 1: expected one JSON object on line 1" in lines[0]
    assert "5 rejected, missing_id: such as line 7: " in lines[1]
    assert "5 rejected, wrong_type: such as 'p' on line 12: " in lines[2]
    assert "19 rejected (6 not_json, 5 missing_id, 5 wrong_type, " in closing
    assert "1 for 1 other reasons)" in closing


def test_loss_20_what_a_pipeline_drops_is_not_indexed(catalog: Catalog) -> None:
    catalog.write(*({"id": str(n), "title": f"t{n}"} for n in range(10)))
    catalog.node.drop = lambda identifier: identifier in "37"
    metrics = catalog.folder / "m.prom"
    result = command(catalog, "--metrics-file", str(metrics))
    assert result.exit_code == 3
    assert "8 indexed, 0 rejected, 2 dropped by an ingest pipeline" in result.stdout
    assert 'mmsearch_ingest_dropped{index="products",reason="pipeline"} 2' in metrics.read_text()
    summary = json.loads(command(catalog, "--json").stdout.splitlines()[-1])
    assert (summary["read"], summary["indexed"], summary["dropped"], summary["exit_code"]) == (10, 8, 2, 3)


def test_loss_d1_one_servers_answer_says_nothing_about_another() -> None:
    said: list[str] = []
    patience = Patience(5.0, said.append)
    tries = 0

    def opensearch() -> str:
        nonlocal tries
        tries += 1
        if tries <= 3:
            # While it is away the other answers.
            patience.call(lambda: 1)
            raise AwayError("OpenSearch at x", "connection refused")
        return "ok"

    assert patience.call(opensearch) == "ok"
    assert len(said) == 2
    assert said[0] == "OpenSearch at x does not respond (connection refused); waiting up to 5 s"
    assert said[1].startswith("OpenSearch at x responds again after ")


def test_the_metrics_name_every_kind_of_loss(tmp_path: Path) -> None:
    stats = Stats()
    stats.lose("not_deleted", "security_exception", "'7'")
    MetricsFile(tmp_path / "m.prom", "p").write(stats, running=False, exit_code=3)
    text = (tmp_path / "m.prom").read_text(encoding="utf-8")
    assert 'mmsearch_ingest_not_deleted{index="p",reason="security_exception"} 1.0\n' in text


def test_loss_d11_a_dark_picture_of_16_bits_is_as_dark_in_a_product_as_in_a_query() -> None:
    dark = Image.fromarray(np.tile(np.arange(200, dtype=np.uint16), (200, 1)))
    light = Image.fromarray(np.full((200, 200), 51_400, np.uint16))
    for image, grey in ((dark, 0), (light, 200)):
        out = io.BytesIO()
        image.save(out, "PNG")
        product = pixels(out.getvalue(), Frame(224))
        query = decode(out.getvalue(), Frame(224))
        # 51,400 of 65,535 is 200 of 255; what is below 257 is below 1.
        assert abs(float(product.mean()) - grey) <= 1
        assert abs(float(query.mean()) - grey) <= 1
