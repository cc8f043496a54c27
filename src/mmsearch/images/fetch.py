"""Download one image from a URL: checked address, limits on redirects, bytes and time, and a revalidating
cache.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from urllib3 import BaseHTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from mmsearch.errors import FolderError, PictureError
from mmsearch.images.fetch_options import FetchOptions, Header
from mmsearch.images.limits import MAX_BYTES
from mmsearch.images.url_guard import Place, Resolve, place, resolve
from mmsearch.images.urls import location

MAX_REDIRECTS = 5
CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 20.0
RETRIES = 2
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))
# What servers write for none: a character set, or how the file came to them.
_NO_ENCODING = frozenset(("", "identity", "none", "utf-8", "utf8", "binary", "8bit", "aws-chunked"))
Connect = Callable[[Place, float], HTTPConnection]


class _LaterError(PictureError):
    """The attempt failed temporarily and may be repeated after a pause in seconds."""

    def __init__(self, reason: str, message: str, pause: float = 0.5) -> None:
        super().__init__(reason, message)
        self.pause = pause


def connect(where: Place, seconds: float) -> HTTPConnection:
    """Connect to the checked address. The host name is used only to verify the certificate."""
    if where.scheme == "http":
        return HTTPConnection(where.address, where.port, timeout=seconds)
    trusted = ssl.create_default_context()
    return HTTPSConnection(
        where.address, where.port, timeout=seconds, ssl_context=trusted, server_hostname=where.host
    )


@dataclass(frozen=True, slots=True)
class Fetch:
    """Downloads into `folder`: contents by their sha256, and for each URL the cache headers of the server."""

    folder: Path
    lookup: Resolve = resolve
    dial: Connect = connect
    seconds: float = TOTAL_SECONDS
    options: FetchOptions = field(default_factory=FetchOptions.from_environment)

    def __call__(self, url: str) -> Path:
        """Return the path of the file with the image. Raise PictureError."""
        return Retrying(
            retry=retry_if_exception_type(_LaterError),
            wait=_pause,
            stop=stop_after_attempt(RETRIES + 1),
            reraise=True,
        )(self._once, url)

    def _once(self, url: str) -> Path:
        deadline = time.monotonic() + self.seconds
        known = self._known(url)
        here, first = url, True
        start: Place | None = None
        for _ in range(MAX_REDIRECTS + 1):
            where = place(here, self.lookup, self.options)
            start = start or where
            # Once a redirect has led elsewhere, another host decides what is asked, also if it leads back.
            first = first and _is_same(start, where)
            own = [header for header in self.options.headers if _goes(header, start, where, first=first)]
            try:
                with self._asked(where, known, deadline, own) as response:
                    if response.status in _REDIRECTS:
                        here = location(here, response.headers.get("location", ""))
                        continue
                    if response.status == 304 and known:
                        return self._content(str(known["digest"]))
                    _check(response, url)
                    return self._stored(url, _body(response, deadline), response)
            except (HTTPError, HTTPException, OSError, ValueError) as error:
                why = "no end in time" if time.monotonic() >= deadline else _reason(error)
                raise _LaterError("fetch_failed", f"expected {_shown(url)} to answer, got: {why}") from None
        raise PictureError(
            "redirects", f"expected at most {MAX_REDIRECTS} redirects from {_shown(url)}, got more"
        )

    @contextmanager
    def _asked(
        self, where: Place, known: dict[str, Any], deadline: float, own: Sequence[Header]
    ) -> Iterator[BaseHTTPResponse]:
        """Send one request. The connection is closed at the deadline, even if the host keeps sending
        slowly.
        """
        try:
            seconds = min(CONNECT_SECONDS, _left(deadline))
            if where.address:
                connection, target = self.dial(where, seconds), where.target
            else:
                connection, target = through_proxy(where, seconds, self.options)
            connection.connect()
        except (HTTPError, HTTPException, OSError) as error:
            through = "" if where.address else f" through the proxy {self.options.proxy}"
            raise _LaterError(
                "host_away", f"expected {where.host!a} to accept a connection{through}, got: {_reason(error)}"
            ) from None
        end = threading.Timer(deadline - time.monotonic(), _shut, [connection.sock])
        end.daemon = True  # a slow host does not hold up the program's exit
        with closing(connection):
            end.start()
            try:
                headers = _headers(where, known, self.options, own)
                connection.request("GET", target, headers=headers, preload_content=False)
                with closing(connection.getresponse()) as response:
                    yield response
            finally:
                end.cancel()

    def _known(self, url: str) -> dict[str, Any]:
        """Return the stored cache headers of a URL if its content still exists."""
        try:
            found: dict[str, Any] = json.loads(self._about(url).read_bytes())
            return found if self._content(str(found["digest"])).exists() else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _stored(self, url: str, data: bytes, response: BaseHTTPResponse) -> Path:
        digest = hashlib.sha256(data).hexdigest()
        content = self._content(digest)
        if not content.exists():
            _write(content, data)
        about = {
            "url": url,
            "digest": digest,
            "etag": response.headers.get("etag"),
            "modified": response.headers.get("last-modified"),
        }
        _write(self._about(url), json.dumps(about).encode())
        return content

    def _content(self, digest: str) -> Path:
        return self.folder / "contents" / digest[:2] / digest

    def _about(self, url: str) -> Path:
        name = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()
        return self.folder / "urls" / name[:2] / f"{name}.json"


def _shut(connected: socket.socket) -> None:
    with suppress(OSError):  # it has ended in the same moment
        # A TLS shutdown from this thread would free state that the reading thread uses.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


def through_proxy(where: Place, seconds: float, options: FetchOptions) -> tuple[HTTPConnection, str]:
    """Return a connection to the proxy, which resolves the host, and the target to ask it for. Of https the
    proxy carries the bytes, and the certificate is verified here.
    """
    proxy = urllib.parse.urlsplit(f"//{options.proxy}")
    at = (str(proxy.hostname), int(proxy.port or 80))
    if where.scheme == "http":
        return HTTPConnection(*at, timeout=seconds), f"http://{_host(where)}{where.target}"
    tunnel = HTTPSConnection(
        *at, timeout=seconds, ssl_context=ssl.create_default_context(), server_hostname=where.host
    )
    own = {"Proxy-Authorization": options.proxy_authorization} if options.proxy_authorization else {}
    tunnel.set_tunnel(where.host, where.port, headers={"User-Agent": options.user_agent, **own})
    return tunnel, where.target


def _is_same(start: Place, here: Place) -> bool:
    """Return whether a redirect stays at a host: at its port, or from http to https at the usual ones."""
    upgraded = (start.scheme, start.port, here.scheme, here.port) == ("http", 80, "https", 443)
    return here.host == start.host and (upgraded or (here.scheme, here.port) == (start.scheme, start.port))


def _host(where: Place) -> str:
    """Return host and port as the Host header has them."""
    name = f"[{where.host}]" if ":" in where.host else where.host
    return name if where.port == (443 if where.scheme == "https" else 80) else f"{name}:{where.port}"


def _goes(header: Header, start: Place, where: Place, *, first: bool) -> bool:
    """Return whether a header is sent; `first` says that no redirect has led to another host. A header for
    one host is not sent in clear if the catalog has named https.
    """
    if header.host is None:
        return first
    return header.host.is_at(where.host, where.port) and (where.scheme == "https" or start.scheme == "http")


def _headers(
    where: Place, known: dict[str, Any], options: FetchOptions, own: Sequence[Header]
) -> dict[str, str]:
    headers = {
        "Host": _host(where),
        "User-Agent": options.user_agent,
        "Accept": "image/*",
        # Compressed responses could be decompression bombs, and image formats are compressed already.
        "Accept-Encoding": "identity",
        "Connection": "close",
        "If-None-Match": known.get("etag"),
        "If-Modified-Since": known.get("modified"),
    }
    if not where.address and where.scheme == "http":
        headers["Proxy-Authorization"] = options.proxy_authorization
    headers |= {header.name: header.value for header in own}
    return {key: str(value) for key, value in headers.items() if value}


def _check(response: BaseHTTPResponse, url: str) -> None:
    if response.status in _AGAIN:
        raise _LaterError(
            f"http_{response.status}",
            f"expected {_shown(url)} to return a picture, got HTTP {response.status}",
            # The time that a host gives may be in the past.
            min(5.0, max(0.0, _number(response.headers.get("retry-after"), 0.5))),
        )
    if response.status != 200:
        raise PictureError(
            f"http_{response.status}",
            f"expected {_shown(url)} to return a picture, got HTTP {response.status}",
        )
    encodings = (response.headers.get("content-encoding") or "").lower().split(",")
    if not all(encoding.strip() in _NO_ENCODING for encoding in encodings):
        raise PictureError(
            "encoded",
            f"expected plain bytes from {_shown(url)}, got {response.headers.get('content-encoding')!r}",
        )
    length = _number(response.headers.get("content-length"), 0)
    if length > MAX_BYTES:
        raise _too_large(f"{length / 1e6:.1f}")


def _body(response: BaseHTTPResponse, deadline: float) -> bytes:
    """Return the whole body, within the limits on bytes and time."""
    parts: list[bytes] = []
    size = 0
    while part := response.read1(1 << 16, decode_content=False):
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES:
            raise _too_large("more")
    _left(deadline)  # a body without a length ends as well where the connection was shut
    return b"".join(parts)


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return error.pause * 2 ** (state.attempt_number - 1) if isinstance(error, _LaterError) else 0.0


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no end in time")
    return left


def _too_large(size: str) -> PictureError:
    return PictureError("too_large", f"expected a picture of at most {MAX_BYTES / 1e6:.0f} MB, got {size} MB")


def _number(text: str | None, otherwise: float) -> float:
    try:
        number = float(text) if text else otherwise
    except ValueError:
        return otherwise
    return number if math.isfinite(number) else otherwise


def _write(path: Path, data: bytes) -> None:
    """Write atomically, also with concurrent writers."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(data)
        fresh.replace(path)
    except OSError as error:
        # The error is not specific to this image: every other write would fail too.
        raise FolderError(
            f"expected to keep fetched pictures in {path.parent}, got: {error.strerror}; make room there, or "
            "name another folder by MMSEARCH_CACHE"
        ) from None


def _shown(url: str) -> str:
    return ascii(url if len(url) <= 100 else url[:99] + "…")


def _reason(error: Exception) -> str:
    cause = error.__cause__ or error  # urllib3's own words name the connection's object
    return (str(cause) or type(cause).__name__)[:120]
