"""URLs of images as shops write them, read as browsers read them."""

from __future__ import annotations

import re
import urllib.parse
from contextlib import suppress

import idna

_WEB = re.compile(r"https?://", re.ASCII | re.IGNORECASE)
# Without a dot, two slashes are more often a path with one slash too many.
_NO_SCHEME = re.compile(r"//(?:[^/\s?#\\]+\.[^/\s?#\\]+|\[[0-9a-fA-F:.]+\](?::\d+)?)(?:[/?#]|$)")
_AROUND = "".join(map(chr, range(33)))
_IGNORED = str.maketrans("", "", "\t\n\r")


def is_url(reference: str) -> bool:
    """Return whether a reference is a web address, with http, https or no scheme (`//host/a.jpg`)."""
    start = reference.lstrip(_AROUND)
    return bool(_WEB.match(start) or _NO_SCHEME.match(start))


def cleaned(url: str) -> str:
    """Return a URL without blanks around it and line breaks inside; without a scheme it is https."""
    url = url.strip(_AROUND).translate(_IGNORED)
    return f"https:{url}" if url.startswith("//") else url


def host_of(name: str) -> str:
    """Return a host's name in ASCII, lower case. Raise ValueError for a name that has no such form."""
    if name.isascii():
        return name.lower()
    return idna.encode(name, uts46=True).decode("ascii")


def target_of(parts: urllib.parse.SplitResult) -> str:
    """Return path and query for a request: blanks and letters outside ASCII escaped in UTF-8, existing
    escapes unchanged.
    """
    path = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = urllib.parse.quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    return f"{path}?{query}" if query else path


def location(here: str, header: str) -> str:
    """Return the URL that a `Location` header leads to, relative to `here`.

    Servers write UTF-8 into the header, which arrives as Latin-1.
    """
    with suppress(UnicodeError):  # then it is Latin-1
        header = header.encode("latin-1").decode("utf-8")
    return urllib.parse.urljoin(cleaned(here), header.strip(_AROUND).translate(_IGNORED))
