"""Ranking quality on held-out groups: blocks against the whole table, and numbers by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mmsearch.models.fusion.base import TextOnly, unit
from mmsearch.training.heldout import held
from mmsearch.training.objective import Features, Training


def drawn(queries: int, items: int) -> Features:
    generator = torch.Generator().manual_seed(5)
    pairs = torch.stack(
        [torch.arange(queries), torch.randint(0, items, (queries,), generator=generator)], dim=1
    )
    further = torch.randint(0, queries * items, (queries,), generator=generator)
    known = torch.unique(torch.cat([pairs[:, 0] * items + pairs[:, 1], further]))
    return Features(
        query_text=unit(torch.randn(queries, 8, generator=generator)),
        query_words=torch.zeros(queries, 8),
        item_text=unit(torch.randn(items, 8, generator=generator)),
        item_image=torch.zeros(items, 8),
        pairs=pairs,
        counts=torch.ones(queries),
        known=known,
        group=torch.arange(items),
        negatives=torch.zeros(queries, 0, dtype=torch.int64),
    )


def slow(data: Features, found: held.Held) -> list[float]:
    """The same measure by sorting each query's products."""
    measured = []
    wanted = {tuple(pair) for pair in data.pairs.tolist()}
    known = {(code // data.items, code % data.items) for code in data.known.tolist()}
    for query in found.queries.tolist():
        offered = [
            item for item in found.items.tolist() if (query, item) in wanted or (query, item) not in known
        ]
        scores = {item: float(data.query_text[query] @ data.item_text[item]) for item in offered}
        ranked = sorted(offered, key=lambda item: -scores[item])[:10]
        right = {item for item in found.items.tolist() if (query, item) in wanted}
        gains = [1 / torch.log2(torch.tensor(place + 2.0)).item() for place in range(10)]
        dcg = sum(gains[place] for place, item in enumerate(ranked) if item in right)
        hits = sum(item in right for item in ranked)
        measured.append((hits / len(right) + dcg / sum(gains[: len(right)])) / 2)
    return measured


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_blocks_measure_what_the_whole_table_does(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "BLOCK", block)
    data = drawn(60, 90)
    _, found = held.split(data, Training(holdout=0.5))
    assert bool(found.ignored.any())
    measured = found.measure(TextOnly(), data)
    assert measured.tolist() == pytest.approx(slow(data, found), abs=1e-5)
    assert found.last == pytest.approx(sum(measured.tolist()) / len(measured))


def test_at_most_so_many_groups_are_held_out() -> None:
    data = drawn(60, 90)
    rows, found = held.split(data, Training(holdout=0.5, held_most=20))
    assert len(found.items) == 20
    assert not set(data.pairs[rows, 1].tolist()) & set(found.items.tolist())
    _, few = held.split(replace(data, group=torch.arange(90) // 9), Training(holdout=0.5))
    assert len(few.items) == 45
