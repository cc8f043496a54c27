"""A tower's memory: what was read before is not computed again, and nothing is taken for another."""

from __future__ import annotations

import io
import re
import urllib.request
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from mmsearch.clients.triton import Encoder, Row
from mmsearch.serving.embedding_cache import OVERHEAD, EmbeddingCache

if TYPE_CHECKING:
    from conftest import TritonUnderTest

Feeds = dict[str, np.ndarray]


class TowerModel:
    """Counts the rows that it computes."""

    def __init__(self) -> None:
        self.rows = 0

    def __call__(self, feeds: Mapping[str, Any]) -> np.ndarray:
        ids, mask = feeds.values()
        self.rows += len(ids)
        return np.stack([(ids * mask).sum(1), mask.sum(1)], axis=1).astype(np.float32)


def texts(*rows: tuple[int, ...], width: int) -> Feeds:
    ids, mask = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width), np.int64)
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = row, 1
    return {"INPUT_IDS": ids, "ATTENTION_MASK": mask}


def test_rows_come_back_in_order_and_only_new_ones_are_computed() -> None:
    tower, memory = TowerModel(), EmbeddingCache(1 << 20)
    first = texts((1, 2), (3,), (1, 2), width=2)
    answer, computed = memory.run(first, tower)
    np.testing.assert_array_equal(answer, [[3, 2], [3, 1], [3, 2]])
    assert (computed, tower.rows) == (2, 2)
    answer, computed = memory.run(texts((4,), (3,), (1, 2), width=5), tower)
    np.testing.assert_array_equal(answer, [[4, 1], [3, 1], [3, 2]])
    assert (computed, tower.rows) == (1, 3)


def test_zeros_that_count_are_not_taken_for_filling() -> None:
    tower, memory = TowerModel(), EmbeddingCache(1 << 20)
    memory.run(texts((256,), width=3), tower)
    for row in ((256, 0), (1,), (0, 256), (256, 256)):
        _, computed = memory.run(texts(row, width=3), tower)
        assert computed == 1, row


def test_the_least_recently_used_goes_first() -> None:
    tower, memory = TowerModel(), EmbeddingCache(2 * (8 + OVERHEAD))
    for row in ((1,), (2,), (1,), (3,)):
        memory.run(texts(row, width=1), tower)
    assert (len(memory), tower.rows) == (2, 3)
    assert memory.run(texts((1,), width=1), tower)[1] == 0
    assert memory.run(texts((2,), width=1), tower)[1] == 1


def test_a_batch_larger_than_the_memory_is_answered_all_the_same() -> None:
    tower, memory = TowerModel(), EmbeddingCache(1)
    answer, _ = memory.run(texts((1,), (2,), (1,), width=1), tower)
    np.testing.assert_array_equal(answer[:, 0], [1, 2, 1])
    assert len(memory) == 0


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
