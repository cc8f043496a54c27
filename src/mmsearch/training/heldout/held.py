"""Held-out groups of products and their queries: the split, and the ranking quality on them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mmsearch.errors import TrainingError
from mmsearch.models.fusion.base import Fusion
from mmsearch.training.objective import Features, Training

DEPTH = 10
BLOCK = 256
"""queries ranked at once, so that memory does not grow with queries times products"""
_MORE = (
    "give pairs over more products, or a `holdout` in the architecture's `training`, 0 to stop by steps alone"
)


class Held:
    """Held-out products and their queries, ranked against each other.

    `items` int64 [h] and `queries` int64 [q] are numbers of products and queries. `known` int64 [k, 2] has
    the relevant products of each query as places in both, sorted by query. `ignored` bool [k] marks those
    that are known without a pair, which are neither hit nor miss.
    """

    def __init__(self, items: Tensor, queries: Tensor, known: Tensor, ignored: Tensor) -> None:
        self.items, self.queries = items, queries
        self.known, self.ignored = known, ignored
        self.last = 0.0
        self.scores = torch.zeros(0)

    def measure(self, fusion: Fusion, data: Features) -> Tensor:
        """Return the mean of recall@10 and nDCG@10 of each query by the current weights, float32 [q], also
        kept as `scores`; their mean is kept as `last`.
        """
        self.last, self.scores = 0.0, torch.zeros(len(self.queries))
        if not len(self.queries):
            return self.scores
        with torch.inference_mode():
            offered = torch.cat([_items(fusion, data, part) for part in torch.split(self.items, 1024)])
            for start in range(0, len(self.queries), BLOCK):
                rows = self.queries[start : start + BLOCK]
                scores = (_queries(fusion, data, rows) @ offered.T).cpu()
                self.scores[start : start + BLOCK] = self._block(scores, start)
        self.last = float(self.scores.mean())
        return self.scores

    def _block(self, scores: Tensor, start: int) -> Tensor:
        """Return the measure of the queries from `start` on, whose scores are float32 [n, h]."""
        mine = (self.known[:, 0] >= start) & (self.known[:, 0] < start + len(scores))
        row, column = (self.known[mine] - torch.tensor([start, 0])).T
        ignored = self.ignored[mine]
        scores[row[ignored], column[ignored]] = -2.0
        relevant = torch.zeros(scores.shape, dtype=torch.bool)
        relevant[row[~ignored], column[~ignored]] = True
        hits = relevant.gather(1, scores.topk(min(DEPTH, scores.shape[1])).indices).float()
        total = relevant.sum(1).float()
        discount = 1 / torch.log2(torch.arange(2, 2 + hits.shape[1]).float())
        ideal = torch.cumsum(discount, 0)[total.clamp(max=hits.shape[1]).long() - 1]
        return (hits.sum(1) / total + (hits * discount).sum(1) / ideal) / 2


def split(data: Features, numbers: Training) -> tuple[Tensor, Held]:
    """Return the training pairs, int64 [m], and the held-out data: whole groups, drawn by the seed.

    Raise TrainingError when nothing is held out, or fewer than two training pairs remain.
    """
    generator = torch.Generator().manual_seed(numbers.seed)
    names = torch.unique(data.group)
    count = min(int(len(names) * numbers.holdout), numbers.held_most)
    if numbers.holdout and not count:
        raise TrainingError(
            f"expected at least {math.ceil(1 / numbers.holdout)} groups of products, to hold "
            f"{numbers.holdout:.0%} of them out, got {len(names)}; {_MORE}"
        )
    chosen = names[torch.randperm(len(names), generator=generator)[:count]]
    is_held = torch.isin(data.group, chosen)
    of_held = is_held[data.pairs[:, 1]]
    items = torch.nonzero(is_held).squeeze(1)
    queries = torch.unique(data.pairs[of_held, 0])
    rows = torch.nonzero(~of_held).squeeze(1)
    if count and not len(queries):
        raise TrainingError(
            f"expected pairs for the {len(items)} products that are held out, got none; {_MORE}"
        )
    if len(rows) < 2:
        raise TrainingError(
            f"expected two pairs or more to train on, whose products are each other's negatives, got "
            f"{len(rows)}; give more pairs"
        )
    codes = torch.unique(torch.cat([data.known, data.pairs[:, 0] * data.items + data.pairs[:, 1]]))
    query, item = codes // data.items, codes % data.items
    here = is_held[item] & torch.isin(query, queries)
    codes, query, item = codes[here], query[here], item[here]
    wanted = torch.unique(data.pairs[of_held, 0] * data.items + data.pairs[of_held, 1])
    known = torch.stack([torch.searchsorted(queries, query), torch.searchsorted(items, item)], 1)
    return rows, Held(items, queries, known, ~torch.isin(codes, wanted))


def _queries(fusion: Fusion, data: Features, places: Tensor) -> Tensor:
    text, words = data.asking(places)
    return fusion.query(text, words, data.no_images(len(places)))[0]


def _items(fusion: Fusion, data: Features, places: Tensor) -> Tensor:
    return fusion.item(data.rows("item_text", places), data.rows("item_image", places))[0]
