"""A tower's memory on the real Triton: an edited text costs no picture, an edited picture no text."""

from __future__ import annotations

import io
import re
import urllib.request
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from mmsearch.clients.triton import Encoder, Row

if TYPE_CHECKING:
    from ..conftest import TritonUnderTest


def computed(triton: TritonUnderTest) -> dict[str, int]:
    """How many rows each remembering tower of the real server has computed so far."""
    with urllib.request.urlopen(triton.metrics, timeout=10) as answer:
        text = answer.read().decode()
    found = re.findall(r"^mmsearch_tower_rows\{.*?\} .*$", text, re.MULTILINE)
    rows = {}
    for line in found:
        if 'how="computed"' in line:
            rows[re.findall(r'model="(\w+)"', line)[0]] = int(float(line.rsplit(" ", 1)[1]))
    return rows


@pytest.mark.integration
def test_an_edited_text_costs_no_picture_and_an_edited_picture_no_text(triton: TritonUnderTest) -> None:
    draw = np.random.default_rng()

    def drawn() -> bytes:
        out = io.BytesIO()
        Image.fromarray(draw.integers(0, 255, (40, 40, 3), np.uint8)).save(out, "PNG")
        return out.getvalue()

    def cost(texts: list[bytes], images: list[bytes], *, remember: bool = True) -> dict[str, int]:
        rows: list[Row] = list(zip(texts, images, strict=True))
        before = computed(triton)
        encoder = Encoder(triton.grpc, remember=remember)
        try:
            found.append(encoder.encode(rows, encoder.describe(), ["EMBEDDING"])[0])
        finally:
            encoder.close()
        after = computed(triton)
        return {model: after[model] - before[model] for model in after}

    found: list[np.ndarray] = []
    pictures = [drawn() for _ in range(5)]
    titles = [f"thing {draw.integers(1 << 60)}".encode() for _ in range(5)]
    assert cost(titles, pictures) == {"bibert_item": 5, "clip_image": 5}
    edited = [titles[0] + b" edited", *titles[1:]]
    assert cost(edited, pictures) == {"bibert_item": 1, "clip_image": 0}
    assert cost(titles, [drawn(), *pictures[1:]]) == {
        "bibert_item": 0,
        "clip_image": 1,
    }
    # Nobody is answered from memory unasked. What else is in a batch moves no vector.
    assert cost(edited, pictures, remember=False) == {
        "bibert_item": 0,
        "clip_image": 0,
    }
    np.testing.assert_allclose(found[3][:, 384:], found[1][:, 384:], atol=1e-5)
    assert (found[3] * found[1]).sum(1).min() > 0.9999
