"""Credentials: where they come from, what is sent, and that nothing ever shows one."""

from __future__ import annotations

import base64
import json
import logging
import pickle
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from mmsearch.cli import options
from mmsearch.cli.main import COMMANDS, cli
from mmsearch.clients.credentials import OpenSearchAccess, TritonAccess
from mmsearch.clients.opensearch import HttpError, ask, connect
from mmsearch.clients.triton import Encoder
from mmsearch.errors import AwayError, IngestError

from ..fakes.fake_triton import FakeTriton

SECRET = "pl4nted-s3cret-ß"
TOLD = base64.b64encode(f"shop:{SECRET}".encode()).decode()


class Recorder(ThreadingHTTPServer):
    """Answers everything with one status; keeps the headers that came."""

    daemon_threads = True

    def __init__(self) -> None:
        self.status = 200
        self.headers: list[dict[str, str]] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                recorder.headers.append({name.lower(): value for name, value in self.headers.items()})
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.dumps({"error": {"type": "denied", "reason": "no"}}).encode()
                self.send_response(recorder.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815

            def log_message(self, *about: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    server = Recorder()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def sent(recorder: Recorder, environment: dict[str, str]) -> dict[str, str]:
    client = connect(recorder.url, OpenSearchAccess.from_environment(environment))
    ask(client, "GET", "/")
    client.close()
    return recorder.headers[-1]


def test_nothing_is_sent_when_nothing_is_given(recorder: Recorder) -> None:
    assert "authorization" not in sent(recorder, {})


def test_user_and_password_also_beyond_latin_1(recorder: Recorder) -> None:
    given = {"MMSEARCH_OPENSEARCH_USER": "shop", "MMSEARCH_OPENSEARCH_PASSWORD": SECRET}
    # "shop:pl4nted-s3cret-ß" by `base64` of a shell in UTF-8.
    assert sent(recorder, given)["authorization"] == "Basic c2hvcDpwbDRudGVkLXMzY3JldC3Dnw=="


def test_a_file_wins_over_a_value(recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-the-file\n", encoding="utf-8")
    given = {
        "MMSEARCH_OPENSEARCH_API_KEY": "from-the-value",
        "MMSEARCH_OPENSEARCH_API_KEY_FILE": str(tmp_path / "key"),
    }
    assert sent(recorder, given)["authorization"] == "ApiKey from-the-file"


def test_aws_requests_are_signed(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("botocore")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    headers = sent(recorder, {"MMSEARCH_OPENSEARCH_AWS_REGION": "eu-west-1"})
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-west-1/es/aws4_request" in headers["authorization"]
    assert SECRET not in json.dumps(headers)


def test_certificates_of_all_servers_and_of_one(tmp_path: Path) -> None:
    for name in ("all", "triton"):
        (tmp_path / name).touch()
    given = {
        "MMSEARCH_CA_FILE": str(tmp_path / "all"),
        "MMSEARCH_TRITON_CA_FILE": str(tmp_path / "triton"),
    }
    assert OpenSearchAccess.from_environment(given).ca_file == str(tmp_path / "all")
    assert TritonAccess.from_environment(given).ca_file == str(tmp_path / "triton")


@pytest.mark.parametrize(
    ("url", "given", "repair"),
    [
        (f"https://shop:{SECRET}@host:9200", {}, "MMSEARCH_OPENSEARCH_PASSWORD_FILE"),
        ("http://host.example:9200", {"USER": "shop", "PASSWORD": SECRET}, "https://"),
        ("http://127.0.0.1.example:9200", {"API_KEY": SECRET}, "https://"),
        ("https://host:9200", {"USER": "shop", "PASSWORD": SECRET, "API_KEY": SECRET}, "all but one"),
        ("https://host:9200", {"USER": "shop"}, "MMSEARCH_OPENSEARCH_PASSWORD_FILE"),
    ],
)
def test_what_does_not_go_together_is_refused(url: str, given: dict[str, str], repair: str) -> None:
    environment = {f"MMSEARCH_OPENSEARCH_{name}": value for name, value in given.items()}
    with pytest.raises(IngestError) as refused:
        connect(url, OpenSearchAccess.from_environment(environment))
    assert repair in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_token_does_not_travel_over_plain_grpc() -> None:
    with pytest.raises(IngestError, match="grpcs://"):
        Encoder("127.0.0.1:1", access=TritonAccess(token=SECRET))


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", f"{SECRET}\nmore".encode()])
def test_a_secret_file_that_will_not_do(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(IngestError, match="MMSEARCH_OPENSEARCH_PASSWORD_FILE") as refused:
        OpenSearchAccess.from_environment({"MMSEARCH_OPENSEARCH_PASSWORD_FILE": str(file)})
    assert SECRET not in str(refused.value)


def test_half_a_client_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cert").touch()
    with pytest.raises(IngestError, match="--client-key"):
        TritonAccess.from_environment({"MMSEARCH_CLIENT_CERT": str(tmp_path / "cert")})


def test_a_certificate_file_that_is_not_there() -> None:
    with pytest.raises(IngestError, match="--ca-file"):
        OpenSearchAccess.from_environment({"MMSEARCH_CA_FILE": "/nowhere/ca.pem"})


def test_the_planted_secret_shows_nowhere(
    recorder: Recorder, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    access = OpenSearchAccess(user="shop", password=SECRET)
    told = [repr(access), str(access), f"{access!r}", repr(TritonAccess(token=SECRET))]
    client = connect(recorder.url, access)
    told.append(repr(client))
    for status in (200, 401, 403, 404, 429, 500):
        recorder.status = status
        try:
            ask(client, "POST", "/_search", body={"query": {"match_all": {}}})
        except (HttpError, AwayError) as error:
            told += [str(error), repr(error)]
    client.close()
    gone = connect("http://127.0.0.1:1", access)
    with pytest.raises(AwayError) as away:
        ask(gone, "GET", "/")
    gone.close()
    told += [str(away.value), repr(away.value), caplog.text, *capfd.readouterr()]
    assert len(recorder.headers) == 6
    assert all(headers["authorization"].endswith(TOLD) for headers in recorder.headers)
    for text in told:
        assert SECRET not in text
        assert TOLD not in text


def test_the_planted_secret_in_a_run_that_fails_and_rejects(
    recorder: Recorder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`mmsearch ingest` against a node that refuses the password: output, rejects, journal, summary."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MMSEARCH_OPENSEARCH_USER", "shop")
    secret = tmp_path / "secret"
    secret.write_text(SECRET, encoding="utf-8")
    monkeypatch.setenv("MMSEARCH_OPENSEARCH_PASSWORD_FILE", str(secret))
    (tmp_path / "catalog.jsonl").write_text('{"id": "1", "title": "chair"}\nbroken\n', encoding="utf-8")
    recorder.status = 401
    with FakeTriton() as triton:
        result = CliRunner().invoke(
            cli,
            f"ingest catalog.jsonl --opensearch {recorder.url} --triton {triton.url} --json"
            " --processes 0 --give-up-after 1",
        )
    secret.unlink()
    assert result.exit_code == 1
    assert recorder.headers[0]["authorization"] == f"Basic {TOLD}"
    texts = [result.output, caplog.text, str(result.exception)]
    texts += [file.read_bytes().decode(errors="replace") for file in tmp_path.rglob("*") if file.is_file()]
    for text in texts:
        assert SECRET not in text
        assert TOLD not in text


def test_access_crosses_to_a_worker_process() -> None:
    access = OpenSearchAccess(user="shop", password=SECRET, ca_file="ca.pem")
    assert pickle.loads(pickle.dumps(access)) == access


def test_every_command_that_takes_an_address_takes_certificates() -> None:
    found = []
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        for each in [command, *getattr(command, "commands", {}).values()]:
            names = {option for parameter in each.params for option in parameter.opts}
            if "--opensearch" in names:
                found.append(each.name)
                assert {"--ca-file", "--client-cert", "--client-key"} <= names, each.name
            assert "--insecure" not in names
    assert len(found) >= 8


def test_the_options_hold_for_their_command_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ours", "env"):
        (tmp_path / name).touch()
    monkeypatch.setenv("MMSEARCH_TRITON_CA_FILE", str(tmp_path / "env"))

    @click.command()
    @options.tls
    def command() -> None:
        click.echo(OpenSearchAccess.from_environment().ca_file)
        click.echo(TritonAccess.from_environment().ca_file)

    ours = str(tmp_path / "ours")
    assert CliRunner().invoke(command, ["--ca-file", ours]).output.split() == [ours, ours]
    assert OpenSearchAccess.from_environment().ca_file == ""
    assert TritonAccess.from_environment().ca_file == str(tmp_path / "env")
