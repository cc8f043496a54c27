"""JSON Lines as a catalog."""

from __future__ import annotations

import io
from collections.abc import Iterator

from mmsearch.products.record import MAX_LINE_BYTES, Line

BUFFER = 1 << 20
KEPT_OF_TOO_LONG = 1 << 10


def json_lines(stream: io.BufferedReader) -> Iterator[Line]:
    """Yield the lines that are not blank. A line that is too long is cut and has the reason."""
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES):
        number += 1
        if len(raw) < MAX_LINE_BYTES or raw.endswith(b"\n"):
            if raw.strip():
                yield Line(number, raw)
            continue
        kept = raw[:KEPT_OF_TOO_LONG]
        while raw and not raw.endswith(b"\n"):
            raw = stream.readline(BUFFER)
        yield Line(
            number,
            kept,
            (
                "line_too_long",
                f"expected lines of at most {MAX_LINE_BYTES} bytes, got a longer line {number}",
            ),
        )
