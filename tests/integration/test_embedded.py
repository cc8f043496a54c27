from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.error
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from mmsearch.cli.main import cli
from mmsearch.errors import StackError
from mmsearch.stack import embedded, ports, triton_server
from mmsearch.stack.processes import myself
from mmsearch.stack.state import Home, Ports

from ..fakes.asking import ask

if TYPE_CHECKING:
    from ..conftest import OpenSearchUnderTest, StackUnderTest, TritonUnderTest


def test_ports_are_the_given_ones_then_those_of_the_last_time_then_the_defaults(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    home.make()
    assert embedded.choose_ports(home, embedded.Wanted()) == Ports(9200, 8000, 8001, 8002)
    chosen = embedded.choose_ports(home, embedded.Wanted(http_port=9301))
    home.write_ports(chosen)
    assert embedded.choose_ports(home, embedded.Wanted(triton_http_port=8100)) == Ports(
        9301, 8100, 8001, 8002
    )


def test_port_0_takes_a_free_one(tmp_path: Path) -> None:
    chosen = embedded.choose_ports(Home.at(tmp_path), embedded.Wanted(http_port=0, triton_http_port=0))
    assert chosen.http not in (0, chosen.triton_http)
    assert not ports.taken(chosen.http)


def test_two_servers_on_one_port_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"expected four different ports, got \[8000, 8000, 8001, 8002\]"):
        embedded.choose_ports(Home.at(tmp_path), embedded.Wanted(http_port=8000))


def test_a_repository_without_models_is_one_sentence_with_the_repair(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    wanted = embedded.Wanted(
        servers=("triton",), triton_http_port=0, triton_grpc_port=0, triton_metrics_port=0
    )
    with pytest.raises(
        StackError, match=r"expected the models query_encoder and item_encoder.*mmsearch models build"
    ):
        embedded.up(home, wanted, lambda _: None)


def test_last_words_leave_out_frames_and_information(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "[2026][INFO ][o.o.n.Node] started\n[2026][ERROR][o.o.b.Boot] no\n\tat a.B.c(B.java:1)\n\t... 6 "
        "more\nbecause\n"
    )
    assert embedded.last_words(log) == "    [2026][ERROR][o.o.b.Boot] no\n    because"


@pytest.mark.integration
def test_the_node_answers_with_knn_and_runs_unprivileged(opensearch: OpenSearchUnderTest) -> None:
    assert opensearch.versions.startswith("OpenSearch 3.6.0 with ")
    assert "opensearch-knn 3.6.0.0" in opensearch.versions
    running = opensearch.home.running("opensearch")
    assert running is not None
    assert running.child is not None
    assert Path(f"/proc/{running.child.pid}").stat().st_uid != 0


@pytest.mark.integration
def test_a_vector_is_indexed_and_found_by_knn(opensearch: OpenSearchUnderTest) -> None:
    method = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
    field = {"type": "knn_vector", "dimension": 2, "method": method}
    mapping = {"settings": {"index.knn": True}, "mappings": {"properties": {"v": field}}}
    ask(opensearch.url, "PUT", "/embedded-knn", mapping)
    try:
        ask(opensearch.url, "PUT", "/embedded-knn/_doc/right?refresh=true", {"v": [1.0, 0.0]})
        ask(opensearch.url, "PUT", "/embedded-knn/_doc/up?refresh=true", {"v": [0.0, 1.0]})
        found = ask(
            opensearch.url,
            "POST",
            "/embedded-knn/_search",
            {"query": {"knn": {"v": {"vector": [0.9, 0.1], "k": 1}}}},
        )
        assert [hit["_id"] for hit in found["hits"]["hits"]] == ["right"]
    finally:
        ask(opensearch.url, "DELETE", "/embedded-knn")


@pytest.mark.integration
def test_triton_listens_on_loopback_only_and_both_entry_models_encode(triton: TritonUnderTest) -> None:
    encoded = [triton_server.infer(triton.http, model, "chair") for model in triton_server.ENTRY_MODELS]
    for outputs in encoded:
        assert len(outputs["EMBEDDING"]) == 768
        assert sum(value * value for value in outputs["EMBEDDING"]) == pytest.approx(1.0, abs=1e-4)
    assert encoded[0]["FINGERPRINT"] == encoded[1]["FINGERPRINT"]
    running = triton.home.running("triton")
    assert running is not None
    assert running.child is not None
    listening = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout
    ours = [line.split()[3] for line in listening.splitlines() if f"pid={running.child.pid}," in line]
    assert len(ours) == 3
    assert all("127.0.0.1" in address for address in ours)


@pytest.mark.integration
def test_a_second_up_does_nothing_and_status_shows_both(stack: StackUnderTest) -> None:
    home = stack.opensearch.home
    # Pages that ran before may have called `up` with another environment's Python.
    CliRunner().invoke(cli, ["up", "--home", str(home.folder)])
    before = [home.running(name) for name in ("opensearch", "triton")]
    result = CliRunner().invoke(cli, ["up", "--home", str(home.folder)])
    assert result.exit_code == 0, result.output
    assert result.stdout.count("(was up)") == 2, result.output
    assert [home.running(name) for name in ("opensearch", "triton")] == before
    status = CliRunner().invoke(cli, ["status", "--json", "--home", str(home.folder)])
    assert status.exit_code == 0, status.output
    found = json.loads(status.stdout)
    assert found["opensearch"]["answers"] == stack.opensearch.versions
    assert found["triton"]["answers"] == stack.triton.versions


@pytest.mark.integration
def test_doctor_finds_nothing_wrong_with_a_stack_that_runs(stack: StackUnderTest) -> None:
    result = CliRunner().invoke(cli, ["doctor", "--json", "--home", str(stack.opensearch.home.folder)])
    found = {finding["name"]: finding for finding in json.loads(result.stdout)}
    assert found["opensearch"]["state"] == "ok"
    assert found["triton"]["state"] == "ok"
    assert "fingerprints" not in found  # they were compared


@pytest.fixture
def second(tmp_path: Path, build_models: Callable[[Home], None]) -> Iterator[Home]:
    """A home of its own beside the shared stack, with the default models."""
    home = Home.at(tmp_path / "second")
    home.make()
    build_models(home)
    yield home
    embedded.delete(home)


@pytest.mark.integration
def test_a_second_triton_runs_beside_the_first_comes_back_when_killed_and_goes_without_a_trace(
    triton: TritonUnderTest, second: Home
) -> None:
    wanted = embedded.Wanted(
        servers=("triton",),
        triton_http_port=0,
        triton_grpc_port=0,
        triton_metrics_port=0,
        while_alive=myself(),
    )
    embedded.up(second, wanted, lambda _: None)
    first, launch = second.running("triton"), second.launch("triton")
    assert first is not None
    assert first.child is not None
    assert launch is not None
    assert list(Path("/dev/shm").glob(f"{launch.shared_memory}*"))

    os.kill(first.child.pid, signal.SIGKILL)
    assert first.child.wait(5)
    # The supervisor needs a moment to notice; `up` waits for the real answer either way.
    embedded.up(second, embedded.Wanted(servers=("triton",), while_alive=myself()), lambda _: None)
    again = second.running("triton")
    assert again is not None
    assert again.restarts == 1
    assert again.supervisor == first.supervisor

    embedded.down(second, lambda _: None)
    assert launch.left_behind() == []
    assert not again.supervisor.alive()
    assert list(Path("/dev/shm").glob(f"{launch.shared_memory}*")) == []
    chosen = second.ports()
    assert chosen is not None
    assert not any(
        ports.taken(port) for port in (chosen.triton_http, chosen.triton_grpc, chosen.triton_metrics)
    )
    # The first one has not noticed any of it.
    assert triton_server.infer(triton.http, "query_encoder", "chair")


@pytest.mark.integration
@pytest.mark.slow
def test_a_second_stack_keeps_its_documents_over_kill_9_and_over_down_and_up(
    second: Home, opensearch: OpenSearchUnderTest
) -> None:
    wanted = embedded.Wanted(
        http_port=0,
        triton_http_port=0,
        triton_grpc_port=0,
        triton_metrics_port=0,
        heap="512m",
        while_alive=myself(),
    )
    embedded.up(second, wanted, lambda _: None)
    chosen = second.ports()
    assert chosen is not None
    url = f"http://127.0.0.1:{chosen.http}"
    ask(url, "PUT", "/kept/_doc/1?refresh=true", {"title": "chair"})

    running = second.running("opensearch")
    assert running is not None
    assert running.child is not None
    os.kill(running.child.pid, signal.SIGKILL)
    assert running.child.wait(5)
    again = embedded.Wanted(while_alive=myself())
    embedded.up(second, again, lambda _: None)
    assert ask(url, "GET", "/kept/_count")["count"] == 1

    embedded.down(second, lambda _: None)
    assert all(
        launch.left_behind() == [] for name in ("opensearch", "triton") if (launch := second.launch(name))
    )
    embedded.up(second, again, lambda _: None)
    assert ask(url, "GET", "/kept/_count")["count"] == 1
    with pytest.raises(urllib.error.HTTPError, match="404"):
        ask(opensearch.url, "GET", "/kept/_count")


@pytest.mark.integration
@pytest.mark.slow
def test_a_node_whose_plugin_is_for_another_version_says_so_and_does_not_start(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.zip"
    descriptor = (
        "name=mmsearch\ndescription=x\nversion=1\nclassname=x.Y\njava.version=21\nopensearch.version=2.19.1\n"
    )
    with zipfile.ZipFile(wrong, "w") as archive:
        archive.writestr("plugin-descriptor.properties", descriptor)
    home = Home.at(tmp_path / "home")
    wanted = embedded.Wanted(servers=("opensearch",), http_port=0, plugin_zip=wrong, while_alive=myself())
    try:
        with pytest.raises(StackError, match=r"expected opensearch-plugin to install .*wrong\.zip.*2\.19\.1"):
            embedded.up(home, wanted, lambda _: None)
        assert home.running("opensearch") is None
    finally:
        embedded.delete(home)
