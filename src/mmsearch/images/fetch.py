"""One picture from one URL: checked address, bounded redirects, bytes and seconds, and a cache that asks
first."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import math
import os
import socket
import ssl
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmsearch.errors import FolderError, PictureError
from mmsearch.images.limits import MAX_BYTES
from mmsearch.images.url_guard import Place, Resolve, place, resolve

MAX_REDIRECTS = 5
CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 20.0
RETRIES = 2
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))
Connect = Callable[[str, int, float], socket.socket]


class _LaterError(Exception):
    """This attempt failed in a way that another may not."""

    def __init__(self, reason: str, message: str, pause: float = 0.5) -> None:
        super().__init__(message)
        self.rejection = PictureError(reason, message)
        self.pause = pause


def connect(address: str, port: int, seconds: float) -> socket.socket:
    return socket.create_connection((address, port), seconds)


@dataclass(frozen=True, slots=True)
class Fetch:
    """Fetches into `folder`: contents by their sha256, and for each URL what the server said about it."""

    folder: Path
    lookup: Resolve = resolve
    dial: Connect = connect
    seconds: float = TOTAL_SECONDS

    def __call__(self, url: str) -> Path:
        """The file with the picture's bytes. Raises PictureError."""
        for attempt in range(RETRIES + 1):
            try:
                return self._once(url)
            except _LaterError as later:
                if attempt == RETRIES:
                    raise later.rejection from None
                time.sleep(later.pause * 2**attempt)
        raise AssertionError("unreachable")

    def _once(self, url: str) -> Path:
        deadline = time.monotonic() + self.seconds
        known = self._known(url)
        here = url
        for _ in range(MAX_REDIRECTS + 1):
            where = place(here, self.lookup)
            with self._dialled(where, deadline) as plain:
                try:
                    response = _asked(_TimedSocket(plain, deadline), where, known)
                    if response.status in _REDIRECTS:
                        here = urllib.parse.urljoin(here, response.getheader("location") or "")
                        continue
                    if response.status == 304 and known:
                        return self._content(str(known["digest"]))
                    _check(response, url)
                    return self._stored(url, _body(response), response)
                except (OSError, http.client.HTTPException, ValueError) as error:
                    raise _LaterError(
                        "fetch_failed", f"expected {_shown(url)} to answer, got: {_reason(error)}"
                    ) from None
        raise PictureError(
            "redirects", f"expected at most {MAX_REDIRECTS} redirects from {_shown(url)}, got more"
        )

    def _dialled(self, where: Place, deadline: float) -> socket.socket:
        try:
            plain = self.dial(where.address, where.port, min(CONNECT_SECONDS, _left(deadline)))
            if where.scheme == "https":
                return ssl.create_default_context().wrap_socket(plain, server_hostname=where.host)
        except OSError as error:
            raise _LaterError(
                "host_away", f"expected {where.host!a} to take a connection, got: {_reason(error)}"
            ) from None
        return plain

    def _known(self, url: str) -> dict[str, Any]:
        """What the server said of this URL before, as long as the content is still there."""
        try:
            found: dict[str, Any] = json.loads(self._about(url).read_bytes())
            return found if self._content(str(found["digest"])).exists() else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _stored(self, url: str, data: bytes, response: http.client.HTTPResponse) -> Path:
        digest = hashlib.sha256(data).hexdigest()
        content = self._content(digest)
        if not content.exists():
            _write(content, data)
        about = {
            "url": url,
            "digest": digest,
            "etag": response.getheader("etag"),
            "modified": response.getheader("last-modified"),
        }
        _write(self._about(url), json.dumps(about).encode())
        return content

    def _content(self, digest: str) -> Path:
        return self.folder / "contents" / digest[:2] / digest

    def _about(self, url: str) -> Path:
        name = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()
        return self.folder / "urls" / name[:2] / f"{name}.json"


class _TimedSocket:
    """A connected socket whose every read ends by one deadline, however slowly the bytes or headers drip."""

    def __init__(self, inner: socket.socket, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._inner.settimeout(_left(self._deadline))
        self._inner.sendall(data)

    def makefile(self, mode: str, *_: object) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._inner, self._deadline))

    def close(self) -> None:
        """Nothing: http.client closes before the answer has been read; who dialled hangs up."""


class _TimedReader(io.RawIOBase):
    def __init__(self, inner: socket.socket, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._inner.settimeout(min(CONNECT_SECONDS, _left(self._deadline)))
        return self._inner.recv_into(buffer)


def _asked(wire: _TimedSocket, where: Place, known: dict[str, Any]) -> http.client.HTTPResponse:
    """Send the request by hand, since the socket is connected to an address and the host is another name."""
    connection = http.client.HTTPConnection(where.host, where.port)
    connection.sock = wire
    default = 443 if where.scheme == "https" else 80
    name = f"[{where.host}]" if ":" in where.host else where.host.encode("idna").decode()
    connection.putrequest("GET", where.target, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", name if where.port == default else f"{name}:{where.port}")
    connection.putheader("User-Agent", "mmsearch")
    connection.putheader("Accept", "image/*")
    # Compressed answers could be small bombs, and pictures are compressed already.
    connection.putheader("Accept-Encoding", "identity")
    connection.putheader("Connection", "close")
    if known.get("etag"):
        connection.putheader("If-None-Match", str(known["etag"]))
    if known.get("modified"):
        connection.putheader("If-Modified-Since", str(known["modified"]))
    connection.endheaders()
    return connection.getresponse()


def _check(response: http.client.HTTPResponse, url: str) -> None:
    if response.status in _AGAIN:
        raise _LaterError(
            f"http_{response.status}",
            f"expected {_shown(url)} to give a picture, got HTTP {response.status}",
            # A host may name a time that has passed.
            min(5.0, max(0.0, _number(response.getheader("retry-after"), 0.5))),
        )
    if response.status != 200:
        raise PictureError(
            f"http_{response.status}", f"expected {_shown(url)} to give a picture, got HTTP {response.status}"
        )
    if (response.getheader("content-encoding") or "identity") != "identity":
        raise PictureError(
            "encoded",
            f"expected plain bytes from {_shown(url)}, got {response.getheader('content-encoding')!r}",
        )
    length = _number(response.getheader("content-length"), 0)
    if length > MAX_BYTES:
        raise _too_large(f"{length / 1e6:.1f}")


def _body(response: http.client.HTTPResponse) -> bytes:
    """The whole body, within the limit on bytes; the socket sees to the seconds."""
    parts: list[bytes] = []
    size = 0
    while part := response.read1(1 << 16):
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES:
            raise _too_large("more")
    if response.length:
        raise OSError(f"{response.length} bytes fewer than announced")
    return b"".join(parts)


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
    """Whole or not at all, also with several writers."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(data)
        fresh.replace(path)
    except OSError as error:
        # No fault of the picture's: every other would fail too.
        raise FolderError(
            f"expected to keep fetched pictures in {path.parent}, got: {error.strerror}; make room there, or "
            "name another folder by MMSEARCH_CACHE"
        ) from None


def _shown(url: str) -> str:
    return ascii(url if len(url) <= 100 else url[:99] + "…")


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:120]
