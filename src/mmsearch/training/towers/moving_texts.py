"""The texts of a training that moving towers read, and their vectors by the weights of the moment."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mmsearch.models.weights import weights_hash
from mmsearch.training.towers.moving_tower import MovingTower
from mmsearch.training.towers.token_store import TokenStore

TOGETHER = 32
"""texts of similar length that are computed together, so that short ones are not padded to the longest"""


@dataclass(frozen=True, slots=True)
class Source:
    """The texts of one input of the fusion, and the tower that reads them."""

    tower: str
    texts: TokenStore


class MovingTexts:
    """Towers by name, and a source for each input among query_text, query_words and item_text that a moving
    tower reads.
    """

    def __init__(self, towers: Mapping[str, MovingTower], sources: Mapping[str, Source]) -> None:
        self.towers = towers
        self.sources = sources

    def __contains__(self, name: str) -> bool:
        return name in self.sources

    def to(self, device: torch.device) -> MovingTexts:
        for tower in self.towers.values():
            tower.module.to(device)
        return self

    def same(self, name: str, other: str) -> bool:
        """Return whether two inputs of the queries have the same vectors."""
        return name in self and other in self and self.sources[name].tower == self.sources[other].tower

    def rows(self, name: str, places: Tensor) -> Tensor:
        """Return the vectors of the texts at `places` (int64 [n]), float [n, dimension]; zero rows for texts
        without a known word. Each distinct text is computed once.
        """
        source = self.sources[name]
        tower = self.towers[source.tower]
        device = next(tower.module.parameters()).device
        distinct, back = torch.unique(places.cpu(), return_inverse=True)
        lengths = source.texts.lengths(distinct)
        order = torch.argsort(lengths, stable=True)
        order = order[lengths[order] > 0]
        found = torch.zeros(len(distinct), tower.tower.dimension, device=device)
        parts = []
        for start in range(0, len(order), TOGETHER):
            ids, mask = source.texts.batch(distinct[order[start : start + TOGETHER]])
            parts.append(tower.module(ids.to(device), mask.to(device)).float())
        if parts:
            found = found.index_copy(0, order.to(device), torch.cat(parts))
        return found[back.to(device)]

    def every(self, name: str) -> Tensor:
        """Return the vectors of all texts of an input in evaluation mode, float32 [n, dimension]."""
        source = self.sources[name]
        places = torch.arange(len(source.texts))
        self.rest()
        with torch.inference_mode():
            return torch.cat([self.rows(name, part) for part in torch.split(places, 1024)]).clone()

    def learn(self) -> None:
        for tower in self.towers.values():
            tower.learn()

    def rest(self) -> None:
        """Switch off dropout."""
        for tower in self.towers.values():
            tower.module.eval()

    def state(self) -> dict[str, Tensor]:
        """Return the weights that move, by tower and name."""
        return {
            f"{name}.{key}": value
            for name, tower in self.towers.items()
            for key, value in tower.parameters().items()
        }

    def give(self, values: Mapping[str, Tensor]) -> None:
        """Set the weights of `state`."""
        for name, tower in self.towers.items():
            tower.give({key: values[f"{name}.{key}"] for key in tower.parameters()})

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of the texts, the weights with which the towers began, and what moves."""
        digest = hashlib.sha256()
        for name, source in sorted(self.sources.items()):
            digest.update(f"{name} {source.tower} {source.texts.fingerprint()}".encode())
        for name, tower in sorted(self.towers.items()):
            weights = weights_hash(tower.tower.weights)
            digest.update(f"{name} {tower.tower.moving} {weights}".encode())
        return digest.hexdigest()
