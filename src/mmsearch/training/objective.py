"""The training objective: hyperparameters, data, and the loss of one batch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor

from mmsearch.errors import TrainingError
from mmsearch.models.fusion.base import Fusion, present, unit
from mmsearch.models.fusion.fusion_heads import FusionHead
from mmsearch.training.loss import nt_xent


@dataclass(frozen=True, slots=True)
class Training:
    """Hyperparameters of the training loop, from `training` in the architecture's data file.

    `single` weighs the loss on text vectors alone and on image vectors alone; `titles` weighs the loss
    between each product's image and its own title. `holdout` is the share of groups held out for early
    stopping. `chunk` > 0 computes a batch in slices of this many pairs with the exact gradients of the whole
    batch, for batches larger than memory and for several processes.
    """

    steps: int = 600
    batch: int = 384
    chunk: int = 0
    rate: float = 4e-4
    decay: float = 0.05
    temperature: float = 0.06
    symmetric: bool = True
    modality_dropout: float = 0.15
    single: float = 0.5
    titles: float = 0.0
    evaluate_every: int = 10
    patience: int = 6
    holdout: float = 0.15
    seed: int = 0

    @classmethod
    def of(cls, numbers: Mapping[str, Any]) -> Training:
        """Build from a mapping. Raise TrainingError for an unknown name."""
        unknown = sorted(set(numbers) - {each.name for each in fields(cls)})
        if unknown:
            raise TrainingError(
                f"expected training numbers out of {', '.join(each.name for each in fields(cls))}, "
                f"got {', '.join(unknown)}; correct the data file"
            )
        return replace(cls(), **numbers)


@dataclass(frozen=True, slots=True)
class Features:
    """Features of the frozen towers and pairs of them, for q queries and n products.

    `query_text`, `query_words` float32 [q, ·] and `item_text`, `item_image` float32 [n, ·]. `pairs` int64 [m,
    2] of (query, product), `counts` float32 [m]. `known` int64, sorted, has query * n + product for all
    relevant pairs, which are never negatives. `group` int64 [n]: a split keeps groups together. `negatives`
    int64 [q, h]: hard negatives per query, padded by -1 (h may be 0). `auxiliary_image` float32 [e, ·] are
    images of other products, and `auxiliary_queries` float32 [e, ·] their queries in the image space; they
    are used to fit the closed-form map, but not in training steps.
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

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of all fields, so that training is not resumed on other data."""
        digest = hashlib.sha256()
        for each in fields(self):
            array = getattr(self, each.name).detach().cpu().contiguous().numpy()
            digest.update(f"{each.name} {array.dtype} {array.shape} ".encode())
            digest.update(memoryview(array).cast("B") if array.size else b"")
        return digest.hexdigest()

    def to(self, device: torch.device) -> Features:
        return Features(*(getattr(self, each.name).to(device) for each in fields(self)))

    def fitted(self, fusion: Fusion) -> Features:
        """Return the features with the image features already reduced by the fusion, once instead of in every
        step.

        The closed-form parts of the fusion are fitted here.
        """
        if not isinstance(fusion, FusionHead):
            return self
        short = fusion.kernel_map.fit(
            self.item_image, self.asked(), self.group, self.auxiliary_image, self.auxiliary_queries
        )
        return replace(self, item_image=short)

    def asked(self) -> Tensor:
        """Return for each product the normalized mean of its queries, weighted by count; zero for products
        without queries. float32 [n, ·].

        The queries are in the image space: from the query's words if the architecture has them, else from its
        text.
        """
        said = self.query_words if present(self.query_words).any() else self.query_text
        total = torch.zeros(len(self.item_text), said.shape[1], device=said.device)
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
    text, image = data.item_text[item], data.item_image[item]
    lacks_text, lacks_image = _lacks(numbers, drop)
    nothing = torch.zeros_like(image)
    found = [
        *fusion.query(data.query_text[query], data.query_words[query], nothing),
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
    masked = data.is_known(query.unsqueeze(1) * len(data.item_text) + item.unsqueeze(0))
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
    vectors = fusion.item(data.item_text[flat], data.item_image[flat])
    there = (wanted >= 0).unsqueeze(2)
    return tuple(rows.view(*wanted.shape, -1) * there for rows in vectors)
