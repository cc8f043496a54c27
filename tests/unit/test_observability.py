"""What a run tells machines: metrics for Prometheus, logs as JSON, spans for OpenTelemetry."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mmsearch.cli.main import cli
from mmsearch.clients import tracing
from mmsearch.errors import IngestError
from mmsearch.ingest.reporting import metrics
from mmsearch.ingest.reporting.stats import Stats

from ..fakes.fake_opensearch import FakeOpenSearch
from ..fakes.fake_triton import FakeTriton


class Shop:
    """A catalog between fakes at the wire."""

    def __init__(self, folder: Path, triton: FakeTriton, node: FakeOpenSearch) -> None:
        self.folder, self.triton, self.node = folder, triton, node
        lines = [json.dumps({"id": f"p{number}", "title": f"thing {number}"}) for number in range(40)]
        (folder / "c.jsonl").write_text("\n".join([*lines, '{"title": "nameless"}', "{"]) + "\n")

    def ingest(self, *arguments: str, opensearch: str = "") -> Result:
        servers = ["--triton", self.triton.url, "--opensearch", opensearch or self.node.url]
        return CliRunner().invoke(
            cli, ["ingest", str(self.folder / "c.jsonl"), *servers, "--processes", "0", *arguments]
        )


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path / "cache"))
    with FakeTriton() as triton, FakeOpenSearch() as node:
        yield Shop(tmp_path, triton, node)


def read(path: Path) -> dict[str, float]:
    """Metrics by name with the labels besides the index; every line has the format's shape."""
    found = {}
    names = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            assert re.fullmatch(r"# (HELP \w+ .+|TYPE \w+ gauge)", line), line
            names.add(line.split()[2])
            continue
        parts = re.fullmatch(r'(\w+)\{index="products"(?:,(\w+)="(.*)")?\} (\S+)', line)
        assert parts, line
        assert parts[1] in names
        found[parts[1].removeprefix("mmsearch_ingest_") + (f":{parts[3]}" if parts[2] else "")] = float(
            parts[4]
        )
    return found


def test_the_metrics_are_the_summarys_numbers(shop: Shop) -> None:
    path = shop.folder / "mmsearch.prom"
    result = shop.ingest("--metrics-file", str(path), "--json")
    summary = json.loads(result.stdout)
    found = read(path)
    for name in ("read", "indexed", "encoded", "unchanged", "encoder_calls"):
        assert found[name] == summary[name], name
    assert found["read"] == 42
    assert (found["rejected:missing_id"], found["rejected:not_json"]) == (1, 1)
    assert (found["running"], found["exit_code"]) == (0, 3)
    assert 0 < found["encoding_seconds"] <= found["seconds"]
    assert [each.name for each in shop.folder.iterdir() if each.name.startswith("mmsearch.prom")] == [
        "mmsearch.prom"
    ]


def test_a_run_that_fails_says_so(shop: Shop) -> None:
    path = shop.folder / "mmsearch.prom"
    result = shop.ingest("--metrics-file", str(path), opensearch="http://127.0.0.1:1")
    assert result.exit_code == 1
    found = read(path)
    assert (found["running"], found["exit_code"], found["indexed"]) == (0, 1, 0)


def test_a_file_that_cannot_be_written_is_told_before_the_run(shop: Shop) -> None:
    result = shop.ingest("--metrics-file", str(shop.folder / "absent" / "m.prom"))
    assert result.exit_code == 1
    assert "expected to write metrics to" in result.stderr
    assert shop.triton.count == 0


def test_a_reader_sees_whole_files_and_a_run_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "EVERY", 0.0)
    path = tmp_path / "m.prom"
    file = metrics.MetricsFile(path, 'a"b\\c')
    first = path.stat().st_ino
    stats = Stats()
    stats.add(read=7)
    stats.lose("rejected", 'odd "reason"\n', "line 3")
    file.watch(stats)
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_ino != first, "expected a new file in the old one's place, never one half written"
    assert 'mmsearch_ingest_read{index="a\\"b\\\\c"} 7.0\n' in text
    assert 'reason="odd \\"reason\\"\\n"} 1.0\n' in text
    assert 'mmsearch_ingest_running{index="a\\"b\\\\c"} 1.0\n' in text
    assert "exit_code{" not in text
    path.unlink()
    path.mkdir()
    with pytest.raises(IngestError, match="expected to write metrics"):
        file.watch(stats)


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stderr.splitlines()]


def test_logs_are_json_and_nothing_else(shop: Shop) -> None:
    result = shop.ingest("--log-json", "--json")
    assert result.exit_code == 3
    said = lines(result)
    assert all({"time", "level", "event", "message"} <= set(line) for line in said)
    last = said[-1]
    assert (last["event"], last["level"], last["read"], last["rejected"]) == ("finished", "info", 42, 2)
    assert last["rejects"].endswith("c.rejects.jsonl")
    when = datetime.fromisoformat(last["time"])
    assert abs(datetime.now(UTC) - when) < timedelta(minutes=5)
    assert json.loads(result.stdout)["read"] == 42


def test_a_failure_is_one_line_of_the_log(shop: Shop) -> None:
    result = shop.ingest("--log-json", opensearch="http://127.0.0.1:1")
    assert result.exit_code == 1
    (line,) = lines(result)
    assert (line["event"], line["level"]) == ("failed", "error")
    assert "expected OpenSearch at 127.0.0.1:1 to answer" in line["message"]


def test_ray_has_neither(shop: Shop) -> None:
    result = shop.ingest("--engine", "ray", "--log-json")
    assert result.exit_code == 2
    assert "expected --engine local" in result.stderr


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Spans of a provider of this test's own, which is not the process's."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", lambda name: provider.get_tracer(name))
    yield exporter
    provider.shutdown()


def named(spans_: tuple[ReadableSpan, ...], name: str) -> list[ReadableSpan]:
    return [span for span in spans_ if span.name == name]


def test_encoder_calls_and_bulks_are_below_the_run(shop: Shop, recorded: InMemorySpanExporter) -> None:
    assert shop.ingest("--batch", "16", "--json").exit_code == 3
    found = recorded.get_finished_spans()
    (root,) = named(found, "mmsearch.ingest")
    encodes, bulks = named(found, "mmsearch.encode"), named(found, "mmsearch.bulk")
    assert len(encodes) == shop.triton.count >= 3
    assert len(bulks) == len(shop.node.bulks) >= 1
    for span in (*encodes, *bulks):
        assert span.parent is not None
        assert span.parent.span_id == root.context.span_id
        assert span.context.trace_id == root.context.trace_id
    assert root.attributes is not None
    assert (root.attributes["mmsearch.read"], root.attributes["mmsearch.indexed"]) == (42, 40)
    assert sum(int((span.attributes or {})["mmsearch.rows"]) for span in encodes) == 40
    assert sum(int((span.attributes or {})["mmsearch.documents"]) for span in bulks) == 40


def test_a_failed_run_is_a_failed_span(shop: Shop, recorded: InMemorySpanExporter) -> None:
    assert shop.ingest(opensearch="http://127.0.0.1:1").exit_code == 1
    (root,) = named(recorded.get_finished_spans(), "mmsearch.ingest")
    assert root.status.status_code is trace.StatusCode.ERROR


def test_the_servers_are_told_the_trace(recorded: InMemorySpanExporter) -> None:
    with tracing.span("outer"):
        told = tracing.headers()
    (outer,) = recorded.get_finished_spans()
    assert told["traceparent"].split("-")[1] == f"{outer.context.trace_id:032x}"
    assert tracing.headers() == {}


def test_without_the_package_a_span_is_one_shared_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_tracing", False)
    assert tracing.span("a", rows=1) is tracing.span("b")
    tracing.set_attributes(rows=2)
    assert tracing.headers() == {}
    with tracing.span("a"), tracing.exported():
        pass


def test_the_module_is_imported_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    about = importlib.util.spec_from_file_location("spans_without", tracing.__file__)
    assert about is not None
    assert about.loader is not None
    module = importlib.util.module_from_spec(about)
    about.loader.exec_module(module)
    assert module._tracing is False
    assert module.headers() == {}
