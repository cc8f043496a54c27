"""Read an image reference: a path below the image root, or a `data:` URI."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import unicodedata
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from mmsearch.errors import PictureError
from mmsearch.images import data_uri
from mmsearch.images.limits import MAX_BYTES, too_large
from mmsearch.images.urls import is_url

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+:", re.ASCII)
"""of two letters or more, since one is a drive of Windows"""
_DRIVE = re.compile(r"[A-Za-z]:(?=[\\/])", re.ASCII)
_BEHIND = re.compile(r"[?#].*", re.DOTALL)
_ELSEWHERE = ("not_found", "outside_root", "bad_reference")
"""reasons for which another spelling may lead to the file"""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read(reference: str, root: Path, most: int = MAX_BYTES) -> bytes:
    """Return the bytes of a reference, at most `most` of them.

    Raise PictureError with the reason not_found, outside_root, unreadable, url, bad_reference or too_large.
    """
    if data_uri.is_data_uri(reference):
        return data_uri.read(reference, most)
    scheme = _SCHEME.match(reference) or (re.match("//", reference) if is_url(reference) else None)
    if scheme:
        raise PictureError(
            "url",
            f"expected a path below the image root or a data: URI, got a {scheme[0]} reference; "
            "pass --fetch-images for http and https",
        )
    return _from_file(reference, root, most)


def _from_file(reference: str, root: Path, most: int) -> bytes:
    """Read a file by the first spelling of its name that leads to one below the root."""
    first: PictureError | None = None
    for path in spellings(reference):
        try:
            return _read_below(path, root, most, reference)
        except PictureError as error:
            if first is None or error.reason not in _ELSEWHERE:
                first = error
            if error.reason not in _ELSEWHERE:
                break
    raise first or PictureError("bad_reference", "expected a file name, got an empty one")


def located(reference: str, root: Path) -> Path:
    """Return the file below the root that a path leads to as `read` takes it, and otherwise the path as it is
    written.
    """
    base = os.path.realpath(root)
    for path in spellings(reference):
        if "\0" in path:
            continue
        there = os.path.realpath(os.path.join(base, path))  # noqa: PTH118 - a reference is no Path yet
        if os.path.commonpath((base, there)) == base and os.path.isfile(there):  # noqa: PTH113 - of any name
            return Path(there)
    return root / reference


def spellings(reference: str) -> Iterator[str]:
    """Yield a path as it is written, and then as it may be meant: without a leading slash, with slashes for
    backslashes, without what a URL has behind a path, decoded from a URL, in both Unicode forms of file
    systems.
    """
    seen = set()
    for drive in (reference, _DRIVE.sub("", reference)):
        for path in (drive, _BEHIND.sub("", drive)):
            for decoded in (path, urllib.parse.unquote(path)):
                slashes = decoded.replace("\\", "/")
                for each in (decoded, slashes, slashes.lstrip("/")):
                    for form in (each, *(() if each.isascii() else _unicode_forms(each))):
                        if form and form not in seen:
                            seen.add(form)
                            yield form


def _unicode_forms(path: str) -> tuple[str, str]:
    return unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path)


def _read_below(path: str, root: Path, most: int, reference: str) -> bytes:
    try:
        base = os.path.realpath(root)
        path = os.path.realpath(os.path.join(base, path))  # noqa: PTH118 - a reference is no Path yet
        if os.path.commonpath((base, path)) != base:
            raise PictureError(
                "outside_root",
                f"expected a picture below the image root, got {_short(reference)}, which is outside it"
                + (", and there is none below it" if os.path.isabs(reference) else ""),  # noqa: PTH117
            )
        # Opened non-blocking, so that a named pipe in the folder cannot block the run.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise PictureError(
                    "unreadable", f"expected a file, got {_short(reference)}, which is not a file"
                )
            if status.st_size > most:
                raise too_large(status.st_size)
            # Reading asks for as much memory as it may return, so it is asked for the size of the file.
            data = file.read(status.st_size + 1) or b""
            if len(data) > status.st_size:  # a file that grows meanwhile
                data += file.read(most + 1 - len(data)) or b""
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise PictureError(
                "not_found", f"expected a picture at {_short(reference)}, found no file"
            ) from None
        raise PictureError(
            "unreadable", f"expected a picture at {_short(reference)}, got: {error.strerror}"
        ) from None
    except ValueError as error:  # a NUL in the name
        raise PictureError(
            "bad_reference", f"expected a file name, got {_short(reference)}: {error}"
        ) from None
    if len(data) > most:
        raise too_large(len(data))
    return data


def _short(reference: str) -> str:
    text = ascii(reference)
    return text if len(text) <= 120 else text[:118] + "…'"
