from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from mmsearch.cli.main import cli
from mmsearch.errors import StackError
from mmsearch.stack import doctor
from mmsearch.stack.embedded import State
from mmsearch.stack.state import Home, Ports


def state(name: str, **changes: object) -> State:
    values: dict[str, object] = {
        "name": name, "pid": None, "supervisor": None, "restarts": 0, "uptime": None, "ports": {},
        "answers": None, "reason": "it does not run", "log": "/log",
    }  # fmt: skip
    return State(**{**values, **changes})  # type: ignore[arg-type]


def test_a_port_that_somebody_else_holds_is_wrong_and_names_the_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        findings = list(doctor.server_and_ports(state("triton", ports={"http": port, "grpc": 1})))
    assert [(finding.name, finding.state) for finding in findings] == [
        ("triton", "note"),
        (f"port {port}", "wrong"),
    ]
    assert "--triton-http-port" in findings[1].repair


def test_a_server_that_runs_and_does_not_answer_is_wrong() -> None:
    (finding,) = doctor.server_and_ports(state("triton", pid=1, reason="HTTP 500: dead"))
    assert finding.state == "wrong"
    assert "HTTP 500: dead" in finding.found


def test_an_error_is_split_into_what_was_found_and_the_repair() -> None:
    finding = doctor.refused("Java", StackError("expected a JDK, got none; repair: install one"))
    assert (finding.found, finding.repair) == ("expected a JDK, got none", "install one")


def test_numpy_2_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.numpy().state == "ok"
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.1.0")
    assert (doctor.numpy().state, doctor.numpy().repair) == ("wrong", "pip install 'numpy<2'")


def meta(fingerprint: str) -> dict[str, object]:
    field = {"model": "query_encoder", "fingerprint": fingerprint}
    return {"mappings": {"_meta": {"mmsearch": {"version": 1, "fields": {"embedding": field}}}}}


def test_an_index_of_another_encoder_is_wrong_and_foreign_indexes_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mappings = {"old": meta("a" * 64), "products": meta("b" * 64), "foreign": {"mappings": {}}}
    monkeypatch.setattr(doctor, "ask", lambda url: mappings)
    monkeypatch.setattr(doctor.triton_server, "infer", lambda url, model, text: {"FINGERPRINT": ["b" * 64]})
    both = [state("opensearch", answers="yes"), state("triton", answers="yes")]
    found = {finding.name: finding.state for finding in doctor.fingerprints(Ports(), both)}
    assert found == {"old.embedding": "wrong", "products.embedding": "ok"}


def test_fingerprints_are_not_compared_while_a_server_is_silent() -> None:
    (finding,) = doctor.fingerprints(Ports(), [state("opensearch", answers="yes"), state("triton")])
    assert finding.state == "note"


def test_the_command_exits_1_when_something_is_wrong_and_names_the_repair(tmp_path: Path) -> None:
    home = tmp_path / "home"
    result = CliRunner().invoke(cli, ["doctor", "--json", "--home", str(home)])
    found = {finding["name"]: finding for finding in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert found["models"]["state"] == "wrong"
    assert found["models"]["repair"] == "mmsearch models build"
    assert found["Python"]["state"] == "ok"
    assert found["Triton"]["state"] == "ok"
    assert not Home.at(home).folder.exists()
