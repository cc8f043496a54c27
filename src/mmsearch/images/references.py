"""Read an image reference: a path below the image root, or a `data:` URI."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from pathlib import Path

from mmsearch.errors import PictureError
from mmsearch.images import data_uri
from mmsearch.images.limits import MAX_BYTES, too_large
from mmsearch.images.urls import is_url

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:", re.ASCII)


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
    try:
        base = os.path.realpath(root)
        path = os.path.realpath(os.path.join(base, reference))  # noqa: PTH118 - a reference is no Path yet
        if os.path.commonpath((base, path)) != base:
            raise PictureError(
                "outside_root",
                f"expected a picture below the image root, got {_short(reference)}, which is outside it",
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
            data = file.read(most + 1) or b""
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
