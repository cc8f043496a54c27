"""Fourteen certificates on each link: two are accepted, twelve are refused before anything is asked."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from tritonclient.grpc import service_pb2_grpc

from mmsearch.cli.main import cli
from mmsearch.clients.credentials import OpenSearchAccess, TritonAccess
from mmsearch.clients.opensearch import ask, connect
from mmsearch.clients.triton import Encoder
from mmsearch.errors import AwayError, UntrustedError

from ..fakes.certificates import Identity, issue
from ..fakes.fake_triton import FakeTriton

CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


@cache
def made() -> dict[str, Identity]:
    """Everything that the cases need, made once."""
    ours, other = issue("ours", authority=True), issue("other", authority=True)
    between = issue("between", ours, authority=True)
    leaf = issue("leaf", ours)
    return {
        "ours": ours,
        "other": other,
        "right": leaf,
        "self-signed": issue("self-signed"),
        "expired": issue("expired", ours, begins=-30, ends=-1),
        "not yet valid": issue("not yet valid", ours, begins=1),
        "another host": issue("another host", ours, hosts=(x509.DNSName("other.example"),)),
        "host as a wildcard of names": issue("wildcard", ours, hosts=(x509.DNSName("*.0.0.1"),)),
        "no intermediate": issue("no intermediate", between),
        "by no authority": issue("by no authority", leaf),
        "for clients only": issue("for clients only", ours, usage=CLIENT),
        "client": issue("client", ours, usage=CLIENT),
        "foreign client": issue("foreign client", other, usage=CLIENT),
    }


@dataclass(frozen=True)
class Case:
    """What the server shows (None: it speaks no TLS), whom we believe, and what we show."""

    name: str
    shown: str | None = "right"
    believed: str | None = "ours"
    client: str | None = None
    asks: bool = False


ACCEPTED = (Case("right"), Case("both sides", client="client", asks=True))
REFUSED = (
    Case("another authority", believed="other"),
    Case("no authority named", believed=None),
    *(
        Case(name, shown=name)
        for name in (
            "self-signed",
            "expired",
            "not yet valid",
            "another host",
            "host as a wildcard of names",
            "no intermediate",
            "for clients only",
        )
    ),
    Case("no TLS", shown=None),
    Case("client without a certificate", asks=True),
    Case("client of another authority", client="foreign client", asks=True),
)
BY_THE_SERVER = {"client without a certificate", "client of another authority"}


def test_there_are_fourteen() -> None:
    assert (len(ACCEPTED), len(REFUSED)) == (2, 12)


@contextlib.contextmanager
def opensearch(case: Case, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """An HTTPS server that answers everything with {}, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps({"name": "node"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *about: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, address: Any) -> None:
            """A handshake that the client gave up is what these tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    if case.shown:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*made()[case.shown].write(folder, "server"))
        if case.asks:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=made()["ours"].pem.decode())
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def triton(case: Case, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The fake Triton behind gRPC's own TLS server, and the methods that it was asked for."""
    asked: list[str] = []

    class Refusing(grpc.ServerInterceptor):  # type: ignore[misc]
        def intercept_service(self, go_on: Callable[[Any], Any], details: Any) -> Any:
            asked.append(details.method)
            return go_on(details)

    server = grpc.server(ThreadPoolExecutor(2), interceptors=[Refusing()])
    with FakeTriton() as service:
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(service, server)
        if case.shown:
            shown = made()[case.shown]
            port = server.add_secure_port(
                "127.0.0.1:0",
                grpc.ssl_server_credentials(
                    [(shown.key_pem, shown.pem)],
                    root_certificates=made()["ours"].pem if case.asks else None,
                    require_client_auth=case.asks,
                ),
            )
        else:
            port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"grpcs://127.0.0.1:{port}", asked
        finally:
            server.stop(None).wait()


def files(case: Case, folder: Path) -> dict[str, str]:
    found = {}
    if case.believed:
        found["ca_file"] = made()[case.believed].write(folder, "authority")[0]
    if case.client:
        found["client_cert"], found["client_key"] = made()[case.client].write(folder, "client")
    return found


def ask_opensearch(url: str, case: Case, folder: Path) -> None:
    client = connect(url, OpenSearchAccess(**files(case, folder)), timeout=20)
    try:
        assert ask(client, "GET", "/") == {"name": "node"}
    finally:
        client.close()


def ask_triton(url: str, case: Case, folder: Path) -> None:
    encoder = Encoder(url, access=TritonAccess(**files(case, folder)), timeout=20)
    try:
        assert encoder.describe().version == "1"
    finally:
        encoder.close()


LINKS = pytest.mark.parametrize(
    ("serve", "reach"), [(opensearch, ask_opensearch), (triton, ask_triton)], ids=["opensearch", "triton"]
)


@LINKS
@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_accepted(case: Case, serve: Any, reach: Any, tmp_path: Path) -> None:
    with serve(case, tmp_path) as (url, asked):
        reach(url, case, tmp_path)
        assert asked


@LINKS
@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused(case: Case, serve: Any, reach: Any, tmp_path: Path) -> None:
    with serve(case, tmp_path) as (url, asked):
        with pytest.raises((UntrustedError, AwayError)) as refused:
            reach(url, case, tmp_path)
        assert asked == []
    if case.shown is None:
        assert refused.type is AwayError
    elif case.name not in BY_THE_SERVER:
        # Waiting fixes no certificate: the run ends at once, and says what to name.
        assert refused.type is UntrustedError
        assert "--ca-file" in str(refused.value)


def test_a_command_says_it_in_one_sentence(tmp_path: Path) -> None:
    case = Case("self-signed", shown="self-signed")
    with opensearch(case, tmp_path) as (url, _):
        ca = files(case, tmp_path)["ca_file"]
        result = CliRunner().invoke(cli, ["search", "chair", "--opensearch", url, "--ca-file", ca])
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line.startswith("mmsearch: expected a valid certificate of OpenSearch at 127.0.0.1:")
    assert "self-signed certificate; name its authority by --ca-file" in line


def test_a_command_with_the_right_authority_is_answered(tmp_path: Path) -> None:
    case = ACCEPTED[0]
    with opensearch(case, tmp_path) as (url, asked):
        ca = files(case, tmp_path)["ca_file"]
        arguments = ["dashboards", "log", "--encoder", "--opensearch", url, "--ca-file", ca]
        CliRunner().invoke(cli, arguments)
    assert asked == ["/_plugins/_mmsearch/stats"]
