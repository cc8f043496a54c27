"""Images in `data:` URIs, as browsers read them."""

from __future__ import annotations

import binascii
import re
import urllib.parse

from mmsearch.errors import PictureError
from mmsearch.images.limits import too_large

_BASE64 = re.compile(r"; *base64 *$", re.ASCII | re.IGNORECASE)
_IGNORED = str.maketrans("", "", "\t\n\r")  # anywhere in a URL
_BLANKS = bytes.maketrans(b"\t\n\f\r", b"    ")
_ALPHABET = re.compile(rb"[A-Za-z0-9+/]*={0,2}")


def is_data_uri(reference: str) -> bool:
    return reference.lstrip()[:5].lower() == "data:"


def read(reference: str, most: int) -> bytes:
    """Return the content of a `data:` URI, at most `most` bytes.

    A media type, a character set, padding and blanks are optional; escapes like %2B are decoded, and a
    fragment is dropped. Raise PictureError with the reason bad_reference or too_large.
    """
    head, comma, body = reference.lstrip()[5:].partition(",")
    if not comma:
        raise PictureError("bad_reference", "expected data:image/…;base64,…, got a data: URI without a comma")
    if len(body) > most * 3:
        raise too_large(len(body))
    data = urllib.parse.unquote_to_bytes(body.translate(_IGNORED).partition("#")[0].rstrip())
    if _BASE64.search(head.translate(_IGNORED)):
        data = _decoded(data)
    if len(data) > most:
        raise too_large(len(data))
    return data


def _decoded(text: bytes) -> bytes:
    text = text.translate(_BLANKS).replace(b" ", b"")
    bare = text.rstrip(b"=") if len(text) % 4 == 0 else text
    if not _ALPHABET.fullmatch(text) or b"=" in bare or len(bare) % 4 == 1:
        raise PictureError(
            "bad_reference",
            f"expected base64 in a data: URI, got {len(text)} characters that are not; encode the file again",
        )
    return binascii.a2b_base64(bare + b"=" * (-len(bare) % 4))
