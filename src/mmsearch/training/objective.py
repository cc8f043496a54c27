"""The training objective: hyperparameters, data, and the loss of one batch."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor

from mmsearch.errors import TrainingError
from mmsearch.models.fusion.base import Fusion, present, unit
from mmsearch.models.fusion.fusion_heads import FusionHead
from mmsearch.training.loss import nt_xent
from mmsearch.training.towers.moving_inputs import MovingInputs

SCHEDULES = ("constant", "cosine")
SHARES = (1.0, 0.75, 0.5, 0.25)
"""shares of the trained tower that are tried in the interpolation with the frozen one"""
LEAST_STEPS = 100


@dataclass(frozen=True, slots=True)
class Training:
    """Hyperparameters of the training loop, from `training` in the architecture's data file.

    `single` weighs the loss on text vectors alone and on image vectors alone; `titles` weighs the loss
    between each product's image and its own title. `holdout` is the share of groups held out for early
    stopping, at most `held_most` of them. `chunk` > 0 computes a batch in slices of this many pairs with the
    exact gradients of the whole batch, for batches larger than memory and for several processes.

    `passes` > 0 reads the pairs in shuffled passes and stops after so many of them, or after LEAST_STEPS
    steps if that is more; with 0 every batch is drawn anew. `steps` is the upper limit of both. `warmup`
    steps raise the rates from 0; `schedule` then keeps them (`constant`) or lowers them to 0 (`cosine`).

    Of moving towers, `tower_rate` and `tower_decay` are rate and weight decay, and `tokens` is the length at
    which texts are cut in training. `interpolated` chooses a point between the frozen and the trained tower
    on the held-out groups; a number from 0 to 1 is the share of the trained one, for texts of another kind
    than the held-out ones.

    `threads` are those of torch on a processor; 0 takes torch's number, or with moving towers the one with
    which a step takes least time.
    """

    steps: int = 600
    passes: float = 0.0
    batch: int = 384
    chunk: int = 0
    rate: float = 4e-4
    decay: float = 0.05
    tower_rate: float = 1e-4
    tower_decay: float = 0.01
    tokens: int = 64
    warmup: int = 0
    schedule: str = "constant"
    interpolated: bool | float = True
    temperature: float = 0.06
    symmetric: bool = True
    modality_dropout: float = 0.15
    single: float = 0.5
    titles: float = 0.0
    evaluate_every: int = 10
    patience: int = 6
    holdout: float = 0.15
    held_most: int = 1000
    seed: int = 0
    threads: int = 0

    @classmethod
    def of(cls, numbers: Mapping[str, Any]) -> Training:
        """Build from a mapping. Raise TrainingError for an unknown name."""
        unknown = sorted(set(numbers) - {each.name for each in fields(cls)})
        if unknown:
            raise TrainingError(
                f"expected training numbers out of {', '.join(each.name for each in fields(cls))}, "
                f"got {', '.join(unknown)}; correct the data file"
            )
        found = replace(cls(), **numbers)
        if found.schedule not in SCHEDULES:
            raise TrainingError(
                f"expected `schedule` out of {', '.join(SCHEDULES)}, got {found.schedule!r}; correct the "
                "data file"
            )
        if not isinstance(found.interpolated, bool | int | float) or not 0 <= found.interpolated <= 1:
            raise TrainingError(
                f"expected `interpolated` as true, false or a share from 0 to 1, got {found.interpolated!r}; "
                "correct the data file"
            )
        return found

    @property
    def shares(self) -> tuple[float, ...]:
        """Return the shares of the trained tower to choose from."""
        if isinstance(self.interpolated, bool):
            return SHARES if self.interpolated else (1.0,)
        return (float(self.interpolated),)

    def limit(self, pairs: int) -> int:
        """Return the number of steps over so many pairs to train on."""
        if not self.passes:
            return self.steps
        return min(self.steps, max(LEAST_STEPS, math.ceil(self.passes * pairs / min(self.batch, pairs))))

    def warmth(self, step: int, steps: int) -> float:
        """Return the factor of the rates at a step (from 0) of `steps`."""
        rise = min(1.0, (step + 1) / (self.warmup + 1))
        fall = 1.0 if self.schedule == "constant" else 0.5 * (1 + math.cos(math.pi * step / steps))
        return rise * fall


@dataclass(frozen=True, slots=True)
class Features:
    """Features of the towers and pairs of them, for q queries and n products.

    `query_text`, `query_words` float32 [q, ·] and `item_text`, `item_image` float32 [n, ·]. `pairs` int64 [m,
    2] of (query, product), `counts` float32 [m]. `known` int64, sorted, has query * n + product for all
    relevant pairs, which are never negatives. `group` int64 [n]: a split keeps groups together. `negatives`
    int64 [q, h]: hard negatives per query, padded by -1 (h may be 0). `auxiliary_image` float32 [e, ·] are
    images of other products, and `auxiliary_queries` float32 [e, ·] their queries in the image space; they
    are used to fit the closed-form map, but not in training steps.

    An input that a moving tower reads is a column here, 1 for texts with a known word and products with an
    image, and `rows` computes its vectors by `moving`.
    """

    query_text: Tensor
    query_words: Tensor
    item_text: Tensor
    item_image: Tensor
    pairs: Tensor
    counts: Tensor
    known: Tensor
    group: Tensor
    negatives: Tensor
    auxiliary_image: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    auxiliary_queries: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    moving: MovingInputs | None = None

    @property
    def items(self) -> int:
        """number of products"""
        return len(self.group)

    def rows(self, name: str, places: Tensor) -> Tensor:
        """Return the rows at `places` of query_text, query_words, item_text or item_image, float32 [·,
        dimension].
        """
        if self.moving is not None and name in self.moving:
            return self.moving.rows(name, places)
        found: Tensor = getattr(self, name)[places]
        return found

    def no_images(self, count: int) -> Tensor:
        """Return the image input of `count` queries without an image: zeros, float32 [count, dimension]."""
        width = self.item_image.shape[1]
        if self.moving is not None and "item_image" in self.moving:
            width = self.moving.dimension("item_image")
        return torch.zeros(count, width, device=self.item_image.device)

    def asking(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows of the queries by their text and by their words, which one tower computes once."""
        text = self.rows("query_text", queries)
        if self.moving is not None and self.moving.same("query_text", "query_words"):
            return text, text
        return text, self.rows("query_words", queries)

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of all fields, so that training is not resumed on other data."""
        digest = hashlib.sha256()
        digest.update(b"" if self.moving is None else self.moving.fingerprint().encode())
        for each in fields(self)[:-1]:
            array = getattr(self, each.name).detach().cpu().contiguous().numpy()
            digest.update(f"{each.name} {array.dtype} {array.shape} ".encode())
            digest.update(memoryview(array).cast("B") if array.size else b"")
        return digest.hexdigest()

    def to(self, device: torch.device) -> Features:
        moved: dict[str, Any] = {each.name: getattr(self, each.name).to(device) for each in fields(self)[:-1]}
        return replace(self, **moved, moving=self.moving.to(device) if self.moving else None)

    def fitted(self, fusion: Fusion) -> Features:
        """Return the features with the image features already reduced by the fusion, once instead of in every
        step.

        The closed-form parts of the fusion are fitted here, to the vectors that moving towers give now.
        """
        if not isinstance(fusion, FusionHead):
            return self
        # Without images there is nothing to fit, and the queries need not be encoded.
        asked = self.asked() if self.item_image.any() else self.query_text
        short = fusion.kernel_map.fit(
            self.item_image, asked, self.group, self.auxiliary_image, self.auxiliary_queries
        )
        return replace(self, item_image=short)

    def asked(self) -> Tensor:
        """Return for each product the normalized mean of its queries, weighted by count; zero for products
        without queries. float32 [n, ·].

        The queries are in the image space: from the query's words if the architecture has them, else from its
        text.
        """
        name = "query_words" if present(self.query_words).any() else "query_text"
        moves = self.moving is not None and name in self.moving
        said = self.moving.every(name) if self.moving is not None and moves else getattr(self, name)
        total = torch.zeros(self.items, said.shape[1], device=said.device)
        query, item = self.pairs.T
        return unit(total.index_add_(0, item, said[query] * self.counts.unsqueeze(1)))

    def is_known(self, codes: Tensor) -> Tensor:
        """Return whether each of `codes` (int64, any shape) is in `known`; bool of the same shape."""
        places = torch.searchsorted(self.known, codes).clamp(max=len(self.known) - 1)
        return self.known[places] == codes


def batch_loss(
    fusion: Fusion, data: Features, rows: Tensor, heat: Tensor, numbers: Training, drop: Tensor
) -> Tensor:
    """Return the loss of the pairs `rows` at temperature exp(heat), a scalar.

    `drop` float [B, 2] in 0…1 decides which products lose their text (half as often) or their image (modality
    dropout).
    """
    return loss_of(encoded(fusion, data, rows, numbers, drop), data, rows, heat, numbers, drop)


def encoded(
    fusion: Fusion, data: Features, rows: Tensor, numbers: Training, drop: Tensor
) -> tuple[Tensor, ...]:
    """Return the inputs of the loss: vectors of the pairs' queries and products, float rows [B, ·].

    Three for the queries and three for the products (fused, text, image); the products' titles as words if
    `titles` > 0; three for the hard negatives, float [B, h, ·], if there are any. Row i depends only on pair
    i.
    """
    query, item = data.pairs[rows, 0], data.pairs[rows, 1]
    text, image = data.rows("item_text", item), data.rows("item_image", item)
    lacks_text, lacks_image = _lacks(numbers, drop)
    nothing = data.no_images(len(item))
    found = [
        *fusion.query(*data.asking(query), nothing),
        *fusion.item(text * ~lacks_text, image * ~lacks_image),
    ]
    if numbers.titles:
        found.append(fusion.query(text, text, nothing)[2])
    return (*found, *_hard(fusion, data, query))


def loss_of(
    vectors: Sequence[Tensor],
    data: Features,
    rows: Tensor,
    heat: Tensor,
    numbers: Training,
    drop: Tensor,
) -> Tensor:
    """Return the loss over all vectors of a batch, as returned by `encoded`: a scalar."""
    query, item = data.pairs[rows, 0], data.pairs[rows, 1]
    asked, offered, rest = vectors[:3], vectors[3:6], list(vectors[6:])
    named = rest.pop(0) if numbers.titles else None
    masked = data.is_known(query.unsqueeze(1) * data.items + item.unsqueeze(0))
    temperature = heat.exp().clamp(min=0.01)
    counts = data.counts[rows]
    lacks_text, lacks_image = _lacks(numbers, drop)

    def contrast(side: int, weights: Tensor) -> Tensor:
        return nt_xent(
            asked[side],
            offered[side],
            temperature,
            weights=weights,
            masked=masked,
            hard=rest[side] if rest else None,
            symmetric=numbers.symmetric,
        )

    loss = contrast(0, counts)
    if numbers.single:
        # Loss of each modality alone. Products without the modality in this step are not counted.
        loss = loss + numbers.single * contrast(1, counts * ~lacks_text.squeeze(1))
        loss = loss + numbers.single * contrast(2, counts * ~lacks_image.squeeze(1))
    if named is not None:
        same = item.unsqueeze(1) == item.unsqueeze(0)
        there = (~lacks_image).squeeze(1).to(named.dtype)
        loss = loss + numbers.titles * nt_xent(named, offered[2], temperature, masked=same, weights=there)
    return loss


def _lacks(numbers: Training, drop: Tensor) -> tuple[Tensor, Tensor]:
    """Return which products lose their text and which their image, bool [B, 1] each."""
    lacks_image = drop[:, 1:] < numbers.modality_dropout
    return (drop[:, :1] < numbers.modality_dropout / 2) & ~lacks_image, lacks_image


def _hard(fusion: Fusion, data: Features, query: Tensor) -> tuple[Tensor, ...]:
    """Return the vectors of each query's hard negatives, float32 [B, h, d] three times, or nothing.

    Missing negatives are zero rows: their cosine is 0, as for unrelated products.
    """
    wanted = data.negatives[query]
    if not wanted.shape[1]:
        return ()
    flat = wanted.clamp(min=0).flatten()
    vectors = fusion.item(data.rows("item_text", flat), data.rows("item_image", flat))
    there = (wanted >= 0).unsqueeze(2)
    return tuple(rows.view(*wanted.shape, -1) * there for rows in vectors)
