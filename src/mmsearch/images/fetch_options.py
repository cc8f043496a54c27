"""How images are fetched, from the environment: proxy, headers, user agent, and own hosts."""

from __future__ import annotations

import base64
import os
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mmsearch.clients.keyring import PREFIX, from_keyring
from mmsearch.errors import IngestError
from mmsearch.images.urls import host_of

VARIABLE = "MMSEARCH_FETCH_"
_LETTERS = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_FOR_A_HOST = re.compile(rf"(?P<host>\S*[^\s:])\s+(?P<name>{_LETTERS}):\s*(?P<value>.*)")
_FOR_ALL = re.compile(rf"(?P<name>{_LETTERS}):\s*(?P<value>.*)")
_OURS = re.compile(r"host|connection|content-.*|transfer-.*|accept-encoding|if-.*|range|proxy-.*|te|upgrade")
_USUAL = (80, 443)


@dataclass(frozen=True, slots=True)
class Host:
    """A host by name or address, in ASCII, and a port; 0 stands for 80 and 443."""

    name: str
    port: int = 0

    def is_at(self, name: str, port: int) -> bool:
        return name.rstrip(".") == self.name and (port == self.port if self.port else port in _USUAL)


@dataclass(frozen=True, slots=True)
class Header:
    """A header for every host that the catalog names, or for one `host` only."""

    name: str
    value: str = field(repr=False)
    host: Host | None = None


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """`proxy` is HOST:PORT, empty for none; `own` are the hosts that may have a private address."""

    proxy: str = ""
    user_agent: str = "mmsearch"
    own: tuple[Host, ...] = ()
    headers: tuple[Header, ...] = field(default=(), repr=False)
    proxy_authorization: str = field(default="", repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> FetchOptions:
        """Read MMSEARCH_FETCH_PROXY, _PROXY_USER, _PROXY_PASSWORD or _PROXY_PASSWORD_FILE, _USER_AGENT,
        _ALLOW_HOST (names separated by commas) and _HEADER (a header on each line, or @FILE).

        Raise IngestError for an invalid value; the message has no header's value and no password.
        """
        given = {name: environment.get(VARIABLE + name, "").strip() for name in _NAMES}
        user = given["PROXY_USER"]
        password = _secret(given["PROXY_PASSWORD"], given["PROXY_PASSWORD_FILE"]) if user else ""
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        return cls(
            proxy=proxy_of(given["PROXY"]),
            user_agent=user_agent_of(given["USER_AGENT"]) if given["USER_AGENT"] else "mmsearch",
            own=tuple(own_host(name) for name in given["ALLOW_HOST"].split(",") if name.strip()),
            headers=tuple(headers_of(given["HEADER"].splitlines())),
            proxy_authorization=f"Basic {pair}" if user else "",
        )

    def is_own(self, name: str, port: int) -> bool:
        """Return whether a host is one that may have a private address."""
        return any(host.is_at(name, port) for host in self.own)


DEFAULT = FetchOptions()
_NAMES = (
    "PROXY",
    "PROXY_USER",
    "PROXY_PASSWORD",
    "PROXY_PASSWORD_FILE",
    "USER_AGENT",
    "ALLOW_HOST",
    "HEADER",
)


def proxy_of(text: str) -> str:
    """Return HOST:PORT of `http://HOST:PORT`. Raise IngestError for another form."""
    if not text:
        return ""
    try:
        parts = urllib.parse.urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
    except ValueError:
        parts, port = urllib.parse.SplitResult("", "", "", "", ""), None
    if "@" in text:
        raise IngestError(
            "expected a proxy without a user in it, got one with an @; give them as "
            "MMSEARCH_FETCH_PROXY_USER and MMSEARCH_FETCH_PROXY_PASSWORD_FILE"
        )
    if parts.scheme != "http" or not parts.hostname or not port or parts.path.strip("/") or parts.query:
        raise IngestError(f"expected http://HOST:PORT for --fetch-proxy, got {text[:100]!r}")
    return f"[{parts.hostname}]:{port}" if ":" in parts.hostname else f"{parts.hostname}:{port}"


def user_agent_of(text: str) -> str:
    """Raise IngestError for a text that is no header's value."""
    if not _is_value(text):
        raise IngestError(f"expected one line in Latin-1 for --fetch-user-agent, got {text[:100]!r}")
    return text


def own_host(text: str) -> Host:
    """Return HOST or HOST:PORT, an IPv6 address in brackets. Raise IngestError for another form."""
    try:
        parts = urllib.parse.urlsplit(f"//{text.strip()}")
        name, port = host_of(parts.hostname or ""), parts.port
    except ValueError:
        name, port = "", None
    if not name or "@" in text or parts.path or parts.query or parts.fragment or port == 0 or " " in name:
        raise IngestError(
            f"expected HOST or HOST:PORT for --fetch-allow-host, such as pictures.shop.internal:8080, got "
            f"{text[:100]!r}"
        )
    return Host(name.rstrip("."), port or 0)


def headers_of(lines: Iterable[str]) -> Iterator[Header]:
    """Yield the headers of lines `Name: value` or `HOST Name: value`, and of the files that lines `@FILE`
    name. Raise IngestError, without any value.
    """
    for line in lines:
        if line.strip().startswith("@"):
            yield from headers_of(_lines(line.strip()[1:]))
        elif line.strip():
            yield _header(line.strip())


def _header(line: str) -> Header:
    found = _FOR_A_HOST.fullmatch(line) or _FOR_ALL.fullmatch(line)
    if found is None or not found["value"].strip() or not _is_value(found["value"]):
        # What stands here may be the secret itself.
        raise IngestError(
            "expected 'Name: value', 'HOST Name: value' or @FILE for --fetch-header, got another form"
        )
    name = found["name"]
    if _OURS.fullmatch(name.lower()) or name.lower() == "user-agent":
        repair = "use --fetch-user-agent" if name.lower() == "user-agent" else "leave it out"
        raise IngestError(f"expected a header of your own for --fetch-header, got {name}; {repair}")
    host = own_host(found["host"]) if "host" in found.groupdict() else None
    return Header(name, found["value"].strip(), host)


def _is_value(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return all(letter.isprintable() or letter in "\t\xa0" for letter in text)


def _lines(file: str) -> list[str]:
    try:
        return [
            line
            for line in Path(file).read_text(encoding="utf-8").splitlines()
            if not line.lstrip().startswith(("#", "@"))
        ]
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "bytes that are not UTF-8"
        raise IngestError(
            f"expected headers in the file of --fetch-header, got {file}: {why}; name a readable file with a "
            "header on each line"
        ) from None


def _secret(value: str, file: str) -> str:
    if not file:
        return from_keyring(f"{VARIABLE}PROXY_PASSWORD", value) if value.startswith(PREFIX) else value
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise IngestError(
            f"expected a password in the file that {VARIABLE}PROXY_PASSWORD_FILE names, got {file}, which "
            "cannot be read; name a readable file of one line"
        ) from None
