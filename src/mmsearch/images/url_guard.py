"""Guard against server-side request forgery (SSRF): images are downloaded from public addresses only.

A catalog is untrusted input. Without this guard its URLs could reach services that only this machine can
access: loopback, the private network, a cloud's metadata service, or one of these as an embedded IPv6
address.
"""

from __future__ import annotations

import ipaddress
import socket
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mmsearch.errors import PictureError
from mmsearch.images.fetch_options import DEFAULT, FetchOptions
from mmsearch.images.urls import cleaned, host_of, target_of

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
MAX_URL = 4096

_REFUSED_V4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local, and the metadata services
            "168.63.129.16/32",  # a cloud's host agent, on a public address
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
_OWN = tuple(
    map(
        ipaddress.ip_network,
        (
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8"),
            *("fc00::/7", "::1/128"),
        ),
    )
)
"""networks of own hosts"""
_SERVICES = ("100.100.100.200", "fd00:ec2::254")  # metadata inside such a network
_INSIDE = tuple(
    f".{name}"
    for name in (
        *("localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "private"),
        "home.arpa",
    )
)
_ALLOWED_V6 = ipaddress.IPv6Network(
    "2000::/3"
)  # global unicast; mapped, NAT64, ULA and link-local lie outside
_REFUSED_V6 = tuple(
    map(
        ipaddress.IPv6Network,
        ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),  # Teredo and its kin, documentation, 6to4
    )
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where to connect for a URL: the single checked address, so that a second lookup cannot change it (DNS
    rebinding). It is empty where a proxy resolves the name.
    """

    scheme: str
    host: str
    port: int
    target: str
    address: str


def allowed(text: str) -> bool:
    """Return whether an IP address, in the resolver's notation, is a public unicast address."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    if address not in _ALLOWED_V6 or any(address in network for network in _REFUSED_V6):
        return False
    # ISATAP embeds an IPv4 address behind any prefix.
    return address.packed[8:12] not in (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")


def resolve(host: str, port: int) -> list[str]:
    """Return all addresses of a host from the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(entry[4][0]) for entry in found]


def allowed_own(text: str) -> bool:
    """Return whether an own host may be at this address: also loopback and private networks, but not the
    addresses of machines' own services, such as metadata.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if text in _SERVICES:
        return False
    return allowed(text) or any(address in network for network in _OWN if network.version == address.version)


def place(url: str, lookup: Resolve = resolve, options: FetchOptions = DEFAULT) -> Place:
    """Parse a URL, resolve its host once, and reject it unless all its addresses are public.

    A host that `options` names as our own may have private addresses. Other hosts are resolved by the proxy
    if there is one; of these only the names and written addresses are checked. Raise PictureError with the
    reason url_refused, or host_unknown when the host does not resolve.
    """
    parts, host, port = _parts(url)
    target, own = target_of(parts), options.is_own(host, port)
    if options.proxy and not own:
        _require_public(host, port)
        return Place(parts.scheme, host, port, target, "")
    try:
        addresses = list(lookup(host, port))
    except (OSError, UnicodeError) as error:
        raise PictureError(
            "host_unknown", f"expected a host name that resolves, got {host!a}: {error}"
        ) from None
    refused = [address for address in addresses if not (allowed_own if own else allowed)(address)]
    if refused or not addresses:
        raise PictureError(
            "url_refused",
            f"expected a picture on a public address, got {host!a} at {', '.join(refused[:3]) or 'none'}",
        )
    return Place(parts.scheme, host, port, target, addresses[0])


def _require_public(host: str, port: int) -> None:
    """Refuse a host that the proxy could resolve to an address of its network, as far as the name says."""
    try:
        written = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        name = host.rstrip(".")
        if "." not in name or f".{name}".endswith(_INSIDE):
            raise PictureError(
                "url_refused", f"expected a public host name to ask a proxy for, got {host!a}"
            ) from None
        return
    if not all(allowed(str(entry[4][0])) for entry in written):
        raise PictureError("url_refused", f"expected a picture on a public address, got {host!a}")


def _parts(url: str) -> tuple[urllib.parse.SplitResult, str, int]:
    """Return the parts of a URL, its host in ASCII, and its port."""
    if len(url) > MAX_URL:
        raise _refused(f"a URL of at most {MAX_URL} letters", url)
    url = cleaned(url)
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in url) or "\\" in url:
        raise _refused("a URL without control characters and backslashes", url)
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("a valid URL", url) from None
    if parts.scheme not in ("http", "https"):
        raise _refused("http or https", url)
    if parts.username is not None or parts.password is not None:
        raise _refused("a URL without a user", url)
    if not parts.hostname or port == 0 or any(letter.isspace() for letter in parts.netloc):
        raise _refused("a URL with a host", url)
    try:
        host = host_of(parts.hostname)
    except ValueError:
        raise _refused("a host name that can be written in ASCII", url) from None
    return parts, host, port or (443 if parts.scheme == "https" else 80)


def _refused(expected: str, url: str) -> PictureError:
    return PictureError("url_refused", f"expected {expected}, got {url[:100]!a}")
