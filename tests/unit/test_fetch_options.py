"""Picture URLs as shops write them, and the ways to fetch them that an owner allows: what is loosened, and
that nothing else is."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.x509 import DNSName

from mmsearch.cli import ending
from mmsearch.cli.main import cli
from mmsearch.errors import IngestError, PictureError
from mmsearch.images.concurrent_fetch import ConcurrentFetch
from mmsearch.images.fetch import Fetch
from mmsearch.images.fetch_options import FetchOptions, Host, headers_of, own_host, proxy_of
from mmsearch.images.references import read
from mmsearch.images.url_guard import allowed_own, place
from mmsearch.images.urls import is_url, location

from ..fakes.certificates import issue
from ..fakes.fake_opensearch import FakeOpenSearch
from ..fakes.fake_triton import FakeTriton
from ..fakes.ingesting import Catalog, picture
from .test_fetch import SHOP, Shop, gives, leads, lookup, reason

SECRET = "s3cret-value"


@pytest.fixture
def shop() -> Iterator[Shop]:
    server = Shop()
    yield server
    server.stop()


@pytest.fixture
def fetch(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetch:
    monkeypatch.setattr("mmsearch.images.fetch.RETRIES", 0)
    names = {"xn--bcher-kva.example": [SHOP], "xn--strae-oqa.example": [SHOP], "my_shop.example": [SHOP]}

    def known(host: str, port: int) -> list[str]:
        return names.get(host) or lookup(host, port)

    return Fetch(tmp_path / "pictures", known, shop.dial)


def with_(fetch: Fetch, **options: Any) -> Fetch:
    return replace(fetch, options=FetchOptions(**options))


@pytest.mark.parametrize(
    ("url", "path", "host"),
    [
        ("http://shop.example/a b/c d.png", "/a%20b/c%20d.png", "shop.example"),
        ("http://shop.example/a%20b.png?size=1 2", "/a%20b.png?size=1%202", "shop.example"),
        ("  http://shop.example/a\n.png\t", "/a.png", "shop.example"),
        ("HTTP://Shop.Example/a.png#top", "/a.png", "shop.example"),
        ("http://shop.example/grün/100%.png?q=ä", "/gr%C3%BCn/100%.png?q=%C3%A4", "shop.example"),
        ('http://shop.example/a"<b>|c^d`.png', "/a%22%3Cb%3E%7Cc%5Ed%60.png", "shop.example"),
        ("http://shop.example", "/", "shop.example"),
        ("http://shop.example?v=1", "/?v=1", "shop.example"),
        ("http://Bücher.example/x", "/x", "xn--bcher-kva.example"),
        ("http://straße.example/x", "/x", "xn--strae-oqa.example"),
        ("http://ｓｈｏｐ．example/x", "/x", "shop.example"),
        ("http://my_shop.example/x", "/x", "my_shop.example"),
    ],
)
def test_urls_are_asked_for_as_browsers_do(fetch: Fetch, shop: Shop, url: str, path: str, host: str) -> None:
    shop.paths[path] = gives(b"bytes")
    assert fetch(url).read_bytes() == b"bytes"
    assert shop.asked[0][1]["host"] == host


def test_two_slashes_are_https_and_a_path_is_none() -> None:
    for url in ("//cdn.shop.example/a.jpg", "//cdn.shop.example", " //1.2.3.4:8080/a?b", "//[2600::1]/a"):
        assert is_url(url), url
        assert place(url.replace("cdn.shop", "shop"), lambda host, port: [SHOP]).scheme == "https"
    for path in ("//images/a.jpg", "/a.jpg", "a.jpg", "//", "///a.b/c", "//a b.c/d", "data:,x", "//images"):
        assert not is_url(path), path
    with pytest.raises(PictureError) as refused:
        read("//cdn.shop.example/a.jpg", Path("/"))
    assert refused.value.reason == "url"


@pytest.mark.parametrize("host", ["a b.example", "xn--.example.ü", "\u200b.ü", "ü..example", "-ü-.example"])
def test_hosts_without_a_form_in_ascii_are_refused(fetch: Fetch, shop: Shop, host: str) -> None:
    assert reason(fetch, f"http://{host}/x") in ("url_refused", "host_unknown")
    assert shop.dialled == []


@pytest.mark.parametrize(
    ("header", "path"),
    [
        ("/new name.png", "/new%20name.png"),
        ("new.png?a=1 2", "/old/new.png?a=1%202"),
        ("//www.shop.example/x y", "/x%20y"),
        ("http://www.shop.example/ü", "/%C3%BC"),
        (" http://shop.example/a\t", "/a"),
    ],
)
def test_a_location_is_read_as_urls_are(fetch: Fetch, shop: Shop, header: str, path: str) -> None:
    if header.startswith("//"):
        assert location("https://shop.example/old/x", header) == "https://www.shop.example/x y"
        return
    shop.paths["/old/x"] = gives(b"", 302, location=header.encode().decode("latin-1"))
    shop.paths[path] = gives(b"bytes")
    assert fetch("http://shop.example/old/x").read_bytes() == b"bytes"
    assert location("http://shop.example/", "/gr\xfcn") == "http://shop.example/grün"


@pytest.mark.parametrize(
    "encoding", ["", "identity", "none", "None", "utf-8", "UTF8", "aws-chunked,", "binary"]
)
def test_an_encoding_that_is_none_is_taken(fetch: Fetch, shop: Shop, encoding: str) -> None:
    shop.paths["/x"] = gives(b"bytes", content_encoding=encoding)
    assert fetch("http://shop.example/x").read_bytes() == b"bytes"


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "deflate", "utf-8;gzip"])
def test_an_encoding_is_refused(fetch: Fetch, shop: Shop, encoding: str) -> None:
    shop.paths["/x"] = gives(b"bytes", content_encoding=encoding)
    assert reason(fetch, "http://shop.example/x") == "encoded"


def test_headers_go_to_the_catalogs_host_and_no_further(fetch: Fetch, shop: Shop) -> None:
    mine = with_(fetch, headers=tuple(headers_of([f"X-Key: {SECRET}", f"www.shop.example Cookie: {SECRET}"])))
    shop.paths["/x"] = gives(b"bytes")
    shop.paths["/within"] = leads("/x")
    shop.paths["/away"] = leads("http://www.shop.example/back")
    shop.paths["/back"] = leads("http://shop.example/x")
    for url in ("/x", "/within", "/away"):
        assert mine(f"http://shop.example{url}").read_bytes() == b"bytes"
    sent = [(named["host"], path, "x-key" in named, "cookie" in named) for path, named in shop.asked]
    assert sent == [
        ("shop.example", "/x", True, False),
        ("shop.example", "/within", True, False),
        ("shop.example", "/x", True, False),
        ("shop.example", "/away", True, False),
        ("www.shop.example", "/back", False, True),
        ("shop.example", "/x", False, False),
    ]
    # Another port is another server.
    shop.paths["/port"] = leads("http://shop.example:8080/x")
    assert mine("http://shop.example/port").read_bytes() == b"bytes"
    assert "x-key" not in shop.asked[-1][1]


def test_a_user_agent_is_sent(fetch: Fetch, shop: Shop) -> None:
    shop.paths["/x"] = gives(b"bytes")
    assert with_(fetch, user_agent="shop/1.0 (+me)")("http://shop.example/x")
    assert shop.asked[0][1]["user-agent"] == "shop/1.0 (+me)"


def test_secrets_are_in_no_message_and_no_repr(fetch: Fetch, shop: Shop) -> None:
    options = FetchOptions.from_environment(
        {
            "MMSEARCH_FETCH_HEADER": f"Authorization: {SECRET}\nshop.example X-B: {SECRET}",
            "MMSEARCH_FETCH_PROXY": "127.0.0.1:9",
            "MMSEARCH_FETCH_PROXY_USER": "me",
            "MMSEARCH_FETCH_PROXY_PASSWORD": SECRET,
        }
    )
    assert [header.value for header in options.headers] == [SECRET, SECRET]
    assert SECRET not in repr(options)
    assert SECRET not in repr(options.headers)
    with pytest.raises(PictureError) as away:
        replace(fetch, options=options)("http://shop.example/x")
    assert away.value.reason == "host_away"
    assert "through the proxy 127.0.0.1:9" in away.value.message
    assert SECRET not in str(away.value)


def test_headers_come_from_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text(f"# of the shop\n\nX-Key: {SECRET}\nshop.example:8080 Cookie: a: b\n")
    found = list(headers_of([f"@{file}", "X-Note: a: b"]))
    assert [(header.name, header.value, header.host) for header in found] == [
        ("X-Key", SECRET, None),
        ("Cookie", "a: b", Host("shop.example", 8080)),
        ("X-Note", "a: b", None),
    ]


@pytest.mark.parametrize(
    "line",
    [SECRET, f"X Y Z: {SECRET}", f": {SECRET}", "X-Key:", f"Host: {SECRET}", f"User-Agent: {SECRET}",
     f"Proxy-Authorization: {SECRET}", f"Content-Length: {SECRET}", f"X-Key: {SECRET}\r\nX: y",
     f"X-Key: {SECRET}\x00", f"X-Key: {SECRET}\u2603", f"a@b X-Key: {SECRET}"],
)  # fmt: skip
def test_what_is_no_header_is_refused_without_its_value(line: str) -> None:
    with pytest.raises(IngestError, match="expected") as refused:
        list(headers_of([line]))
    assert SECRET not in str(refused.value)
    with pytest.raises(IngestError, match="nowhere"):
        list(headers_of(["@/nowhere/headers"]))


def test_other_forms_are_refused_in_a_sentence() -> None:
    assert proxy_of("http://proxy.example:3128/") == proxy_of("proxy.example:3128") == "proxy.example:3128"
    for text in ("socks5://a:1", "https://a:1", "http://a", "http://u:p@a:1", "http://a:x", "http://a:1/b"):
        with pytest.raises(IngestError, match="expected"):
            proxy_of(text)
    assert own_host("Bücher.example.") == Host("xn--bcher-kva.example")
    assert own_host("[::1]:8080") == Host("::1", 8080)
    assert not FetchOptions(own=(own_host("*"),)).is_own("shop.example", 80)
    for text in ("http://a", "a/b", "u@a", "a:0", "a:99999", "", "a b"):
        with pytest.raises(IngestError, match="expected HOST"):
            own_host(text)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Shop]:
    """A shop's own picture host on this machine, asked by its own address."""
    server = Shop()
    yield server
    server.stop()


def test_an_own_host_is_asked_at_its_private_address_and_no_other(own: Shop, tmp_path: Path) -> None:
    port = own._server.server_port
    own.paths["/x.png"] = gives(b"bytes")
    name = f"127.0.0.1:{port}"
    fetching = Fetch(tmp_path, options=FetchOptions(own=(own_host(name),)))
    assert fetching(f"http://{name}/x.png").read_bytes() == b"bytes"
    for other in (
        f"http://localhost:{port}/x.png",
        f"http://127.0.0.2:{port}/x.png",
        "http://127.0.0.1/x.png",
    ):
        assert reason(fetching, other) == "url_refused", other
    for inside in (
        f"http://localhost:{port}/x.png",
        f"http://127.0.0.1:{port + 1}/",
        "http://169.254.169.254/",
    ):
        own.paths["/away"] = leads(inside)
        assert reason(fetching, f"http://{name}/away") == "url_refused", inside
    own.paths["/stays"] = leads("/x.png")
    assert fetching(f"http://{name}/stays").read_bytes() == b"bytes"
    assert reason(Fetch(tmp_path / "other"), f"http://{name}/x.png") == "url_refused"


def test_the_address_of_an_own_host_is_pinned_and_is_not_a_service(tmp_path: Path) -> None:
    dialled: list[str] = []

    def dial(where: Any, seconds: float) -> Any:
        dialled.append(where.address)
        raise ConnectionRefusedError("no")

    answers: Iterator[list[str]] = iter([["10.0.0.5"], ["169.254.169.254"], ["10.0.0.5", "169.254.169.254"]])
    fetching = Fetch(
        tmp_path,
        lambda host, port: next(answers),
        dial,
        options=FetchOptions(own=(Host("pictures.internal"),)),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mmsearch.images.fetch.RETRIES", 0)
        assert reason(fetching, "http://pictures.internal/x") == "host_away"
        assert dialled == ["10.0.0.5"]
        for _ in range(2):
            assert reason(fetching, "http://pictures.internal/x") == "url_refused"
    assert dialled == ["10.0.0.5"]
    for address in ("127.0.0.1", "192.168.3.4", "100.64.0.1", "fd12::1", "::1", "1.1.1.1"):
        assert allowed_own(address), address
    for address in ("0.0.0.0", "169.254.1.1", "fe80::1", "fd00:ec2::254", "100.100.100.200", "168.63.129.16",
                    "224.0.0.1", "255.255.255.255", "::ffff:10.0.0.1", "64:ff9b::a00:1", "::"):  # fmt: skip
        assert not allowed_own(address), address


class Proxy:
    """A forward proxy on loopback that resolves every name to one server."""

    def __init__(self, server: Callable[[], tuple[str, int]], status: int = 200) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._note()
                with socket.create_connection(server()) as up:
                    path = "/" + self.path.split("/", 3)[3]
                    head = "".join(
                        f"{k}: {v}\r\n" for k, v in self.headers.items() if not k.startswith("Proxy")
                    )
                    up.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
                    while part := up.recv(1 << 16):
                        self.wfile.write(part)
                self.close_connection = True

            def do_CONNECT(self) -> None:
                self._note()
                if status != 200:
                    self.send_error(status)
                    return
                self.send_response(200)
                self.end_headers()
                with socket.create_connection(server()) as up, contextlib.suppress(OSError):
                    while True:
                        ready, _, _ = select.select([self.connection, up], [], [], 5)
                        part = ready[0].recv(1 << 16) if ready else b""
                        if not part:
                            break
                        (up if ready[0] is self.connection else self.connection).sendall(part)
                self.close_connection = True

            def _note(self) -> None:
                named = {key.lower(): value for key, value in self.headers.items()}
                proxy.asked.append((self.command, self.path, named))

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.address = f"127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def no_names(host: str, port: int) -> list[str]:
    raise OSError("this machine resolves nothing")


def test_a_proxy_resolves_and_carries_and_gets_no_header_of_the_shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = issue("tests", authority=True)
    monkeypatch.setenv("SSL_CERT_FILE", authority.write(tmp_path, "authority")[0])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        *issue("shop", authority, hosts=(DNSName("shop.example"),)).write(tmp_path, "shop")
    )
    monkeypatch.setattr("mmsearch.images.fetch.RETRIES", 0)
    for scheme, given in (("http", None), ("https", context)):
        shop = Shop(given)
        proxy = Proxy(lambda shop=shop: ("127.0.0.1", shop._server.server_port))
        try:
            shop.paths["/a%20b.png"] = gives(b"bytes")
            options = FetchOptions(
                proxy=proxy.address,
                user_agent="shop/1",
                headers=tuple(headers_of([f"X-Key: {SECRET}"])),
                proxy_authorization="Basic bWU6cw==",
            )
            fetching = Fetch(tmp_path / scheme, no_names, options=options)
            assert fetching(f"{scheme}://shop.example/a b.png").read_bytes() == b"bytes"
            command, target, sent = proxy.asked[0]
            assert sent["proxy-authorization"] == "Basic bWU6cw=="
            assert sent["user-agent"] == "shop/1"
            if scheme == "http":
                assert (command, target) == ("GET", "http://shop.example/a%20b.png")
            else:
                assert (command, target) == ("CONNECT", "shop.example:443")
                assert "x-key" not in sent
                assert reason(fetching, "https://other.example/a b.png") == "host_away"
            assert shop.asked[0][1]["x-key"] == SECRET
            assert shop.asked[0][1]["host"] == "shop.example"
            assert "proxy-authorization" not in shop.asked[0][1]
            before = len(proxy.asked)
            for inside in (
                *("localhost", "127.0.0.1", "127.1", "0x7f000001", "[::1]", "169.254.169.254", "10.0.0.1"),
                *("intranet", "db.internal", "x.local", "nas.lan", "a.localhost."),
            ):
                assert reason(fetching, f"{scheme}://{inside}/x") == "url_refused", inside
            assert len(proxy.asked) == before
        finally:
            proxy.stop()
            shop.stop()


def test_a_redirect_behind_a_proxy_is_checked_too_and_an_own_host_is_asked_directly(
    shop: Shop, own: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmsearch.images.fetch.RETRIES", 0)
    proxy = Proxy(lambda: ("127.0.0.1", shop._server.server_port))
    name = f"127.0.0.1:{own._server.server_port}"
    try:
        fetching = Fetch(tmp_path, options=FetchOptions(proxy=proxy.address, own=(own_host(name),)))
        shop.paths["/inside"] = leads("http://localhost/x")
        assert reason(fetching, "http://shop.example/inside") == "url_refused"
        own.paths["/x.png"] = gives(b"own")
        asked = len(proxy.asked)
        assert fetching(f"http://{name}/x.png").read_bytes() == b"own"
        assert len(proxy.asked) == asked
    finally:
        proxy.stop()


def test_a_proxy_that_refuses_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmsearch.images.fetch.RETRIES", 0)
    proxy = Proxy(lambda: ("127.0.0.1", 9), status=407)
    try:
        fetching = Fetch(tmp_path, options=FetchOptions(proxy=proxy.address))
        with pytest.raises(PictureError, match="407") as refused:
            fetching("https://shop.example/x")
        assert refused.value.reason == "host_away"
    finally:
        proxy.stop()


def test_the_options_reach_a_run_of_the_command_and_end_with_it(own: Shop, tmp_path: Path) -> None:
    own.paths["/my%20chair.png"] = gives(picture())
    name = f"127.0.0.1:{own._server.server_port}"
    with FakeTriton() as triton, FakeOpenSearch() as node:
        catalog = Catalog(tmp_path, triton, node)
        catalog.write({"id": "a", "title": "x", "image": ["", f"http://{name}/my chair.png"]})
        options = ["--opensearch", node.url, "--triton", triton.url, "--processes", "0", "--fetch-images"]
        allow = [
            "--fetch-allow-host",
            name,
            "--fetch-header",
            f"X-Key: {SECRET}",
            "--fetch-user-agent",
            "me/1",
        ]
        refused = CliRunner().invoke(cli, ["ingest", str(catalog.path), *options])
        assert refused.exit_code == 3, refused.output
        assert "url_refused" in refused.output
        done = CliRunner().invoke(cli, ["ingest", str(catalog.path), *options, *allow])
        assert done.exit_code == 0, done.output
        assert SECRET not in done.output
        sent = own.asked[-1][1]
        assert (sent["x-key"], sent["user-agent"]) == (SECRET, "me/1")
        assert FetchOptions.from_environment() == FetchOptions()
        assert SECRET not in str(node.__dict__)
        bad = CliRunner().invoke(cli, ["ingest", str(catalog.path), *options, "--fetch-header", SECRET])
        assert bad.exit_code == 2
        assert "expected 'Name: value'" in bad.output
        assert SECRET not in bad.output


def test_the_command_to_go_on_with_has_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["mmsearch", "ingest", "x", "--fetch-header", f"A: {SECRET}", f"--fetch-header=B: {SECRET}"]
    monkeypatch.setattr("sys.argv", [*words, "--fetch-header", "@file", "--fetch-header=@file"])
    again = ending.again()
    assert SECRET not in again
    assert again.count("@file") == 2
    assert again.startswith("mmsearch ingest x --fetch-header 'NAME: VALUE'")


def test_downloads_of_a_host_are_counted_together_however_it_is_written(tmp_path: Path) -> None:
    started: list[str] = []

    def fetching(url: str) -> Path:
        started.append(url)
        return tmp_path

    pool = ConcurrentFetch(fetching, a_host=1)
    try:
        for future in pool.start(["//shop.example/a", "https://SHOP.example/b", " https://shop.example/c"]):
            assert future.result(5) == tmp_path
        assert len(pool._hosts) == 1
    finally:
        pool.close()
