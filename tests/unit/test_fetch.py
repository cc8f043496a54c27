"""Pictures from URLs: nothing private is ever asked, and what is asked is bounded in every way.

Nothing here leaves loopback: names resolve by a table, and connections to the public addresses in it are led
to a server of the test.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import DNSName
from PIL import Image
from urllib3.connection import HTTPConnection

from mmsearch.errors import PictureError
from mmsearch.images import fetch as fetch_module
from mmsearch.images.concurrent_fetch import ConcurrentFetch
from mmsearch.images.fetch import Fetch, connect
from mmsearch.images.url_guard import Place, allowed, place
from mmsearch.ingest import runner as run_module

from ..fakes.certificates import issue
from ..fakes.fake_opensearch import FakeOpenSearch
from ..fakes.fake_triton import FakeTriton
from ..fakes.ingesting import Catalog, picture

SHOP = "93.184.215.14"
SHOP_V6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"

FORBIDDEN = [
    # One address in many spellings, all of which the C library's parser takes.
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001"),
    *("127.255.255.254", "0", "0.0.0.0", "0x0", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]"),
    *("[::ffff:7f00:1]", "[::127.0.0.1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::ffff:0:127.0.0.1]"),
    # Private networks, link-local, metadata services.
    *("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.1.254"),
    *("169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.170.2", "168.63.129.16"),
    *("[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[fd00:ec2::254]", "[fe80::1]", "[fe80::a9fe:a9fe]"),
    *("[fc00::1]", "[fdff:ffff::1]", "[fec0::1]", "100.64.0.1", "100.100.100.200", "100.127.255.255"),
    # Translations and tunnels that carry one of these.
    *("[64:ff9b::a9fe:a9fe]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::a00:1]", "[2002:7f00:1::]"),
    *("[2002:a9fe:a9fe::1]", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]", "[2001:db8::1]", "[2001:10::1]"),
    *("[2600::5efe:10.0.0.1]", "[2600::200:5efe:169.254.169.254]", "192.88.99.1"),
    # Reserved, documentation, benchmarks, multicast, broadcast.
    *("192.0.0.1", "192.0.0.170", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "[ff02::1]", "[100::1]", "[3fff::1]"),
    # Names that a resolver turns into one of these.
    *("localhost", "LOCALHOST", "localhost.", "internal.example", "mixed.example", "metadata.example"),
    *("v6.internal.example", "scoped.example", "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460"),
]
NAMES = {
    "shop.example": [SHOP],
    "www.shop.example": [SHOP],
    "v6.shop.example": [SHOP_V6],
    "localhost": ["127.0.0.1", "::1"],
    "localhost.": ["127.0.0.1"],
    "internal.example": ["10.1.2.3"],
    "mixed.example": [SHOP, "127.0.0.1"],
    "metadata.example": ["169.254.169.254"],
    "v6.internal.example": ["fd00::5"],
    "scoped.example": ["fe80::1%eth0"],
    "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460": ["127.0.0.1"],
}


def lookup(host: str, port: int) -> list[str]:
    """Names by the table; numbers as the system reads them, which asks no server."""
    if host.lower() in NAMES:
        return NAMES[host.lower()]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return [str(entry[4][0]) for entry in found]


class Shop:
    """A web server on loopback that stands for the public addresses; `paths` say what it answers."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.paths: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.dialled: list[str] = []
        self.lock = threading.Lock()
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with shop.lock:
                    shop.asked.append(
                        (self.path, {key.lower(): value for key, value in self.headers.items()})
                    )
                answer = shop.paths.get(self.path, lambda handler: handler.send_error(404))
                with contextlib.suppress(OSError):
                    answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def dial(self, where: Place, seconds: float) -> HTTPConnection:
        """Connect to the test's server instead; anything but the shop's addresses is a hit on the canary."""
        connection = connect(where, seconds)
        self.dialled.append(connection.host)
        if connection.host not in (SHOP, SHOP_V6):
            raise ConnectionRefusedError("the canary was hit")
        connection.host, connection.port = "127.0.0.1", self._server.server_port
        return connection

    @property
    def hits(self) -> list[str]:
        return [address for address in self.dialled if address not in (SHOP, SHOP_V6)]


def gives(data: bytes, status: int = 200, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"content_length": str(len(data)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def leads(to: str, status: int = 302) -> Callable[[BaseHTTPRequestHandler], None]:
    return gives(b"", status, location=to)


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr(fetch_module, "RETRIES", 0)
    server = Shop()
    yield server
    server.stop()


@pytest.fixture
def fetch(shop: Shop, tmp_path: Path) -> Fetch:
    return Fetch(tmp_path / "pictures", lookup, shop.dial)


def reason(fetch: Fetch, url: str) -> str:
    with pytest.raises(PictureError) as caught:
        fetch(url)
    assert caught.value.message.startswith("expected ")
    return caught.value.reason


def test_sixty_forms_of_forbidden_addresses_give_no_hit(fetch: Fetch, shop: Shop) -> None:
    assert len(set(FORBIDDEN)) >= 60
    for host, scheme, port in itertools.product(FORBIDDEN, ("http", "https"), ("", ":8080")):
        assert reason(fetch, f"{scheme}://{host}{port}/x.png") in ("url_refused", "host_unknown"), host
    assert shop.dialled == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_to_forbidden_addresses_give_no_hit(fetch: Fetch, shop: Shop, status: int) -> None:
    for number, host in enumerate(FORBIDDEN):
        shop.paths[f"/{number}"] = leads(
            f"http://{host}/x.png" if host.isascii() else "http://127.0.0.1/", status
        )
        assert reason(fetch, f"http://shop.example/{number}") in ("url_refused", "host_unknown"), host
    for number, target in enumerate(
        ("//127.0.0.1/x", "file:///etc/passwd", "ftp://shop.example/x", "gopher://x")
    ):
        shop.paths[f"/s{number}"] = leads(target, status)
        assert reason(fetch, f"http://shop.example/s{number}") == "url_refused"
    assert shop.hits == []


def test_a_name_that_changes_after_the_check_gives_no_hit(fetch: Fetch, shop: Shop) -> None:
    """Rebinding: whatever the resolver says the second time, the connection goes to what was checked."""
    shop.paths["/x.png"] = gives(b"data")
    shop.paths["/again"] = leads("http://rebind.example/x.png")
    for host in FORBIDDEN:
        answers = iter([[SHOP], ["127.0.0.1"]])

        def rebinding(name: str, port: int, answers: Iterator[list[str]] = answers) -> list[str]:
            return next(answers) if name == "rebind.example" else lookup(name, port)

        rebound = replace(fetch, lookup=rebinding)
        assert rebound("http://rebind.example/x.png").read_bytes() == b"data"
        # The second fetch looks up again, gets the private address and is refused.
        assert reason(rebound, "http://shop.example/again") == "url_refused", host
    assert shop.hits == []


@pytest.mark.parametrize(
    "url",
    [
        "http://user@shop.example/x",
        "http://shop.example@127.0.0.1/x",
        "http://127.0.0.1\\@shop.example/x",
        "http://shop.example\r\nHost: internal/x",
        "http://shop.example x/y",
        "http://shop.example/x\x01y",
        "http://[::1/x",
        "http:///x",
        "http://shop.example:0/x",
        "http://shop.example:99999/x",
        "http://" + "a" * 5000,
        "http://shop.example\x00.internal/x",
    ],
)
def test_urls_that_parsers_disagree_about_are_refused(fetch: Fetch, shop: Shop, url: str) -> None:
    assert reason(fetch, url) == "url_refused"
    assert shop.dialled == []


def test_public_addresses_are_allowed() -> None:
    for address in (SHOP, SHOP_V6, "1.1.1.1", "8.8.8.8", "223.255.255.255", "2a00:1450:4001::1"):
        assert allowed(address), address
    assert place("https://shop.example/a b".replace(" ", "%20"), lookup).target == "/a%20b"


def test_a_picture_is_fetched_by_its_name_and_kept(fetch: Fetch, shop: Shop) -> None:
    shop.paths["/a%20b.png?size=1"] = gives(b"bytes")
    shop.paths["/from"] = leads("/a%20b.png?size=1")
    for url in (
        "http://shop.example/a%20b.png?size=1",
        "http://shop.example/from",
        "http://v6.shop.example/from",
    ):
        path = fetch(url)
        assert path.read_bytes() == b"bytes"
        assert path.name == hashlib.sha256(b"bytes").hexdigest()
    assert shop.asked[0][1]["host"] == "shop.example"
    assert shop.asked[0][1]["accept-encoding"] == "identity"


def test_what_has_not_changed_is_not_sent_again(fetch: Fetch, shop: Shop) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("if-none-match") == '"one"':
            gives(b"", 304)(handler)
        else:
            gives(b"bytes", etag='"one"')(handler)

    shop.paths["/x"] = answer
    assert fetch("http://shop.example/x") == fetch("http://shop.example/x")
    shop.paths["/x"] = gives(b"new", etag='"two"')
    assert fetch("http://shop.example/x").read_bytes() == b"new"
    # A content that has been removed is fetched, not asked about.
    fetch("http://shop.example/x").unlink()
    assert fetch("http://shop.example/x").read_bytes() == b"new"
    assert "if-none-match" not in shop.asked[-1][1]


def test_bodies_are_bounded_in_bytes(fetch: Fetch, shop: Shop) -> None:
    shop.paths["/says"] = gives(b"", content_length="30000000")

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(1 << 20))

    def short(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "100")
        handler.end_headers()
        handler.wfile.write(b"x" * 50)

    shop.paths["/endless"] = endless
    shop.paths["/short"] = short
    shop.paths["/packed"] = gives(b"", content_encoding="gzip")
    assert reason(fetch, "http://shop.example/says") == "too_large"
    assert reason(fetch, "http://shop.example/endless") == "too_large"
    assert reason(fetch, "http://shop.example/short") == "fetch_failed"
    assert reason(fetch, "http://shop.example/packed") == "encoded"


@pytest.mark.parametrize("what", ["body", "headers", "continues", "nothing"])
def test_a_server_that_drips_is_left(fetch: Fetch, shop: Shop, what: str) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        if what == "body":
            handler.send_response(200)
            handler.end_headers()
        elif what == "headers":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(200):
            if what == "continues":
                handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            elif what != "nothing":
                handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    shop.paths["/drip"] = drip
    started = time.monotonic()
    assert reason(replace(fetch, seconds=0.5), "http://shop.example/drip") == "fetch_failed"
    assert time.monotonic() - started < 3


def test_a_certificate_is_for_the_name_and_not_for_the_address_that_was_checked(
    fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = issue("tests", authority=True)
    trusted, _ = authority.write(tmp_path, "authority")
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    context, named = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), []
    context.load_cert_chain(
        *issue("shop", authority, hosts=(DNSName("shop.example"),)).write(tmp_path, "shop")
    )
    context.sni_callback = lambda connected, name, _: named.append(name)
    shop = Shop(context)

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"x")
            time.sleep(0.05)

    shop.paths.update({"/x.png": gives(b"bytes"), "/drip": drip})
    secure = replace(fetch, dial=shop.dial)
    try:
        assert secure("https://shop.example/x.png").read_bytes() == b"bytes"
        assert reason(secure, "https://www.shop.example/x.png") == "host_away"
        assert reason(replace(secure, seconds=0.5), "https://shop.example/drip") == "fetch_failed"
        monkeypatch.delenv("SSL_CERT_FILE")
        assert reason(secure, "https://shop.example/x.png") == "host_away"
    finally:
        shop.stop()
    assert shop.asked[0][1]["host"] == "shop.example"
    assert named[:2] == ["shop.example", "www.shop.example"]


def test_a_proxy_in_the_environment_is_not_asked(
    fetch: Fetch, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    shop.paths["/x.png"] = gives(b"bytes")
    assert fetch("http://shop.example/x.png").read_bytes() == b"bytes"


def test_statuses_and_endless_redirects(fetch: Fetch, shop: Shop) -> None:
    shop.paths["/round"] = leads("/round")
    shop.paths["/busy"] = gives(b"", 503)
    assert reason(fetch, "http://shop.example/round") == "redirects"
    assert reason(fetch, "http://shop.example/gone") == "http_404"
    assert reason(fetch, "http://shop.example/busy") == "http_503"
    assert reason(fetch, "http://unknown.example/x") == "host_unknown"


def test_what_may_pass_is_tried_again(fetch: Fetch, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "RETRIES", 2)
    answers = iter([gives(b"", 503, retry_after="0"), gives(b"", 429, retry_after="0"), gives(b"at last")])
    shop.paths["/x"] = lambda handler: next(answers)(handler)
    assert fetch("http://shop.example/x").read_bytes() == b"at last"


def test_many_at_once_few_from_one_host_and_none_twice(fetch: Fetch, shop: Shop) -> None:
    waiting, most, lock = 0, 0, threading.Lock()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        nonlocal waiting, most
        with lock:
            waiting += 1
            most = max(most, waiting)
        time.sleep(0.05)
        # Before the answer: once it has that, the client may ask for the next.
        with lock:
            waiting -= 1
        gives(handler.path.encode())(handler)

    shop.paths.update({f"/{number}": slow for number in range(30)})
    fetching = ConcurrentFetch(fetch, at_once=16, a_host=3)
    try:
        urls = [f"http://shop.example/{number}" for number in range(30)]
        found = fetching.start(urls + urls)
        assert [future.result(10).read_bytes() for future in found] == [
            f"/{n}".encode() for n in range(30)
        ] * 2
    finally:
        fetching.close()
    assert 1 < most <= 3
    assert len(shop.asked) == 30


def test_a_host_that_does_not_answer_rests(tmp_path: Path) -> None:
    dialled = []

    def dead(where: Place, seconds: float) -> HTTPConnection:
        dialled.append(where.address)
        raise ConnectionRefusedError("no")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch_module, "RETRIES", 0)
        fetching = ConcurrentFetch(Fetch(tmp_path, lookup, dead), a_host=1)
        try:
            found = fetching.start([f"http://shop.example/{number}" for number in range(20)])
            reasons = [getattr(future.exception(10), "reason", "") for future in found]
        finally:
            fetching.close()
    assert set(reasons) == {"host_away"}
    assert len(dialled) == 5


def test_ingest_fetches_when_asked_and_takes_the_text_where_a_link_is_dead(
    shop: Shop, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "Fetch", lambda folder: fetch)
    shop.paths["/good.png"] = gives(picture(), etag='"x"')
    shop.paths["/page.png"] = gives(b"<html>not found</html>")
    out = io.BytesIO()
    Image.new("RGB", (3000, 2000), "blue").save(out, "PNG")
    shop.paths["/large.png"] = gives(out.getvalue())
    folder = tmp_path / "catalog"
    folder.mkdir()
    with FakeTriton() as triton, FakeOpenSearch() as node:
        catalog = Catalog(folder, triton, node)
        names = ["good", "large", "page", "dead"]
        catalog.write(
            *({"id": name, "title": name, "image": f"http://shop.example/{name}.png"} for name in names),
            {"id": "within", "title": "x", "image": "http://localhost/x.png"},
        )
        report = catalog.ingest()
        assert {entry["reason"] for entry in catalog.rejected()} == {"url"}
        assert shop.dialled == []
        report = catalog.ingest(fetch=True)
        assert (report.indexed, report.rejected) == (2, 3)
        assert {entry["id"]: entry["reason"] for entry in catalog.rejected()} == {
            "page": "not_a_picture",
            "dead": "http_404",
            "within": "url_refused",
        }
        report = catalog.ingest(fetch=True, text_only=True)
        assert (report.indexed, report.unchanged, report.encoded) == (5, 2, 3)
        about = {name: source["ingest"] for name, source in node.sources().items()}
        assert about["dead"]["image_error"] == "http_404"
        assert about["good"]["modalities"] == ["text", "image"]
        # The link works at last: only that product is encoded.
        shop.paths["/dead.png"] = gives(picture("green"))
        report = catalog.ingest(fetch=True, text_only=True)
        assert (report.unchanged, report.encoded) == (4, 1)
    assert shop.hits == []
    assert json.dumps(about)
