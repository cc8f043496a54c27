"""A dynamic batch as one list of rows: one bad request is refused alone."""

from __future__ import annotations

import numpy as np

from mmsearch.serving.rows import Limits, Rows, read_rows

LIMITS = Limits(text_bytes=20, image_bytes=10)


def column(*values: bytes) -> np.ndarray:
    return np.array(values, dtype=object).reshape(-1, 1)


def test_rows_keep_their_requests_and_what_is_absent() -> None:
    rows, refused = read_rows(
        [(column(b"chair", b" \n"), column(b"", b"png")), (column("Stühle".encode()), column(b"png"))], LIMITS
    )
    assert not refused
    assert rows == Rows(["chair", None, "Stühle"], [b"", b"png", b"png"], [0, 0, 1])
    assert rows.without({0: ValueError()}) == Rows(["Stühle"], [b"png"], [1])  # type: ignore[dict-item]


def test_each_bad_request_is_refused_alone_and_says_why() -> None:
    good = (column(b"lamp"), column(b""))
    bad = {
        "got neither in row 1": (column(b"a", b""), column(b"", b"")),
        "got 21": (column(b"x" * 21), column(b"")),
        "got 11": (column(b"x"), column(b"y" * 11)),
        "broken byte at position 1": (column(b"a\xff"), column(b"")),
        "got 2 and 1": (column(b"a", b"b"), column(b"")),
    }
    rows, refused = read_rows([good, *bad.values(), good], LIMITS)
    assert rows.texts == ["lamp", "lamp"]
    assert rows.owners == [0, 6]
    for owner, words in enumerate(bad, start=1):
        assert words in str(refused[owner])
