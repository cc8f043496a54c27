"""Rows of a dynamic batch: the inputs of each request, and the rejected requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


class RefusedError(ValueError):
    """A request with invalid input. The message is one sentence: expected, got, repair."""


@dataclass(slots=True)
class Rows:
    """All rows of a batch, one entry each, in the order of the requests.

    `texts[i]` is None and `pictures[i]` is empty if the modality is missing. `owners[i]` is the position of
    the request of row i.
    """

    texts: list[str | None] = field(default_factory=list)
    pictures: list[bytes] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)

    def without(self, refused: dict[int, RefusedError]) -> Rows:
        """Return the rows of the requests that are not rejected."""
        kept = [row for row, owner in enumerate(self.owners) if owner not in refused]
        return Rows(
            [self.texts[row] for row in kept],
            [self.pictures[row] for row in kept],
            [self.owners[row] for row in kept],
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """Maximum sizes of the inputs, in bytes."""

    text_bytes: int
    image_bytes: int


def parse_text(value: bytes, limits: Limits) -> str | None:
    """Return the text of one row, or None if it is blank. Raise RefusedError if it is too long or not
    UTF-8.
    """
    if len(value) > limits.text_bytes:
        raise RefusedError(
            f"expected TEXT of at most {limits.text_bytes} bytes, got {len(value)}; shorten the text"
        )
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedError(
            f"expected TEXT in UTF-8, got a broken byte at position {error.start}; encode the text as UTF-8"
        ) from error
    return text if text.strip() else None


def parse_picture(value: bytes, limits: Limits) -> bytes:
    """Return the encoded image of one row, unchanged. Raise RefusedError if it is too large."""
    if len(value) > limits.image_bytes:
        raise RefusedError(
            f"expected IMAGE of at most {limits.image_bytes} bytes, got {len(value)}; send a smaller picture"
        )
    return value


def read_rows(inputs: list[tuple[Any, Any]], limits: Limits) -> tuple[Rows, dict[int, RefusedError]]:
    """Read the (TEXT, IMAGE) arrays of each request, object arrays of bytes of shape [B, 1].

    Return the rows of the valid requests and, by position, the errors of the others.
    """
    rows, refused = Rows(), {}
    for owner, (text_array, picture_array) in enumerate(inputs):
        try:
            texts = [parse_text(bytes(value), limits) for value in np.ravel(text_array)]
            pictures = [parse_picture(bytes(value), limits) for value in np.ravel(picture_array)]
            if len(texts) != len(pictures):
                raise RefusedError(
                    f"expected as many rows of TEXT as of IMAGE, got {len(texts)} and {len(pictures)}; "
                    "send empty bytes for a missing one"
                )
            for number, (text, picture) in enumerate(zip(texts, pictures, strict=True)):
                if text is None and not picture:
                    raise RefusedError(
                        f"expected TEXT or IMAGE in every row, got neither in row {number}; send one of them"
                    )
        except RefusedError as why:
            refused[owner] = why
            continue
        rows.texts += texts
        rows.pictures += pictures
        rows.owners += [owner] * len(texts)
    return rows, refused
