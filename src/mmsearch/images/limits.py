"""Limits of images: bytes, pixels, memory, and cost of decoding."""

from __future__ import annotations

from mmsearch.errors import PictureError
from mmsearch.images.header import Header

MAX_BYTES = 20_000_000
MAX_PIXELS = 50_000_000
MAX_MEMORY = 240_000_000  # bytes that decoding one picture may take
MAX_SCANS = 200  # passes of a progressive JPEG; encoders write about ten
MAX_SCANNED = 600_000_000  # pixels times passes


def require_within(header: Header) -> None:
    """Raise PictureError (too_many_pixels or too_many_scans) when the header exceeds a limit."""
    if header.width * header.height > MAX_PIXELS:
        raise PictureError(
            "too_many_pixels",
            f"expected at most {MAX_PIXELS / 1e6:.0f} megapixels, got {header.width} x {header.height}",
        )
    if header.memory > MAX_MEMORY:
        raise PictureError(
            "too_many_pixels",
            f"expected a picture that decodes in {MAX_MEMORY / 1e6:.0f} MB, got a {header.format} of "
            f"{header.width} x {header.height} that takes {header.memory / 1e6:.0f} MB; shrink it",
        )
    if header.scans > MAX_SCANS or header.scans * header.width * header.height > MAX_SCANNED:
        raise PictureError(
            "too_many_scans",
            f"expected at most {MAX_SCANS} passes over a JPEG and {MAX_SCANNED / 1e6:.0f} megapixels in them "
            f"all, got {header.scans} over {header.width} x {header.height}; save it again",
        )


def too_large(size: int) -> PictureError:
    return PictureError(
        "too_large",
        f"expected a picture of at most {MAX_BYTES / 1e6:.0f} MB, got {size / 1e6:.1f} MB; shrink it",
    )
