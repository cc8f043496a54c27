"""What a bulk request holds: an action for each item, as many as fit, and halves that stand alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from mmsearch.ingest.item import Item
from mmsearch.ingest.product_index import bulk as module
from mmsearch.ingest.product_index.bulk import action, packed
from mmsearch.products.record import Line, Product


def item(identifier: str, **vectors: Any) -> Item:
    found = Item.of(Line(1, b""), Product(1, identifier, "a title"))
    found.vectors = vectors
    return found


def parsed(lines: bytes) -> list[dict[str, Any]]:
    assert lines.endswith(b"\n")
    return [orjson.loads(line) for line in lines.splitlines()]


def test_a_document_and_its_vectors_are_two_lines() -> None:
    head, body = parsed(action(item('a"\n', embedding=np.array([0.6, 0.8], np.float32))))
    assert head == {"index": {"_id": 'a"\n'}}
    assert body["title"] == "a title"
    assert body["embedding"] == [0.6, 0.8]
    assert body["ingest"]["modalities"] == ["text"]


@pytest.mark.parametrize(("numbers", "there"), [([0, 1], True), ([0, 0], False), ([-0.0, 0], False)])
def test_a_vector_of_length_zero_is_left_out_and_one_that_begins_with_zero_is_not(
    numbers: list[float], there: bool
) -> None:
    vector = np.array(numbers, np.float32)
    _, body = parsed(action(item("a", embedding=vector)))
    assert ("embedding" in body) == there


def test_without_vectors_the_old_ones_are_kept() -> None:
    head, body = parsed(action(item("a")))
    assert head == {"update": {"_id": "a", "retry_on_conflict": 3}}
    assert body["script"]["params"]["source"]["title"] == "a title"
    assert "'embedding'" not in body["script"]["source"]


def test_a_bulk_takes_what_fits_and_at_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [item(name, embedding=np.ones(4, np.float32)) for name in "abcde"]
    lines = [action(each) for each in items]
    for most, taken in ((10 * len(lines[0]), 5), (3 * len(lines[0]), 3), (3 * len(lines[0]) - 1, 2), (1, 1)):
        monkeypatch.setattr(module, "BULK_BYTES", most)
        found, rest = packed(items)
        assert found.body == b"".join(lines[:taken])
        assert list(found.items) == items[:taken]
        assert list(rest) == items[taken:]


def test_halves_are_bulks_of_their_own() -> None:
    items = [item(name * 3, embedding=np.ones(4, np.float32)) for name in "abcde"]
    whole, _ = packed(items)
    waiting, alone = [whole], []
    while waiting:
        each = waiting.pop()
        if len(each.items) == 1:
            alone.append(each)
        else:
            waiting += each.halves()
    assert {each.items[0].product.id: each.body for each in alone} == {
        each.product.id: action(each) for each in items
    }
    assert all(list(each.ends) == [len(each.body)] for each in alone)
