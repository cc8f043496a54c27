"""What moving towers read in a training, and its vectors by the weights of the moment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mmsearch.models.weights import weights_hash
from mmsearch.training.towers.moving_tower import MovingTower
from mmsearch.training.towers.picture_store import PictureStore


class Inputs(Protocol):
    """Texts or images, n of them."""

    def __len__(self) -> int: ...

    def batches(self, places: Tensor) -> Iterator[tuple[Tensor, tuple[Tensor, ...]]]:
        """Yield numbers of `places` and the tower's inputs for these; those left out have nothing to read."""

    def fingerprint(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Source:
    """What one input of the fusion consists of, and the tower that reads it."""

    tower: str
    inputs: Inputs


class MovingInputs:
    """Towers by name, and a source for each input among query_text, query_words, item_text and item_image
    that a moving tower reads.
    """

    def __init__(self, towers: Mapping[str, MovingTower], sources: Mapping[str, Source]) -> None:
        self.towers = towers
        self.sources = sources

    def __contains__(self, name: str) -> bool:
        return name in self.sources

    def to(self, device: torch.device) -> MovingInputs:
        for tower in self.towers.values():
            tower.module.to(device)
        return self

    def dimension(self, name: str) -> int:
        """Return the dimension of an input's vectors."""
        return self.towers[self.sources[name].tower].tower.dimension

    def same(self, name: str, other: str) -> bool:
        """Return whether two inputs of the queries have the same vectors."""
        return name in self and other in self and self.sources[name].tower == self.sources[other].tower

    def rows(self, name: str, places: Tensor) -> Tensor:
        """Return the vectors of the texts or images at `places` (int64 [n]), float [n, dimension]; zero rows
        for texts without a known word and products without an image. Each one is computed once.
        """
        source = self.sources[name]
        tower = self.towers[source.tower]
        device = next(tower.module.parameters()).device
        distinct, back = torch.unique(places.cpu(), return_inverse=True)
        found = torch.zeros(len(distinct), tower.tower.dimension, device=device)
        numbers, parts = [], []
        for kept, inputs in source.inputs.batches(distinct):
            numbers.append(kept)
            parts.append(tower.module(*(each.to(device) for each in inputs)).float())
        if parts:
            found = found.index_copy(0, torch.cat(numbers).to(device), torch.cat(parts))
        return found[back.to(device)]

    def expect(self, items: Tensor) -> None:
        """Begin to decode the images of these products."""
        if self.pictures is not None:
            self.pictures.expect(items)

    def change(self, seed: int | None) -> None:
        """Change images at random from now on, or with None leave them as they are."""
        if self.pictures is not None:
            self.pictures.change(seed)

    @property
    def pictures(self) -> PictureStore | None:
        found = self.sources.get("item_image")
        return found.inputs if found and isinstance(found.inputs, PictureStore) else None

    def close(self) -> None:
        """End the processes that decode."""
        if self.pictures is not None:
            self.pictures.close()

    def every(self, name: str) -> Tensor:
        """Return the vectors of all rows of an input in evaluation mode, float32 [n, dimension]."""
        source = self.sources[name]
        places = torch.arange(len(source.inputs))
        self.rest()
        with torch.inference_mode():
            return torch.cat([self.rows(name, part) for part in torch.split(places, 1024)]).clone()

    def learn(self) -> None:
        for tower in self.towers.values():
            tower.learn()

    def rest(self) -> None:
        """Switch off dropout and the changes of images."""
        self.change(None)
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
        """Return the sha256 (hex) of the inputs, the weights with which the towers began, and what moves."""
        digest = hashlib.sha256()
        for name, source in sorted(self.sources.items()):
            digest.update(f"{name} {source.tower} {source.inputs.fingerprint()}".encode())
        for name, tower in sorted(self.towers.items()):
            weights = weights_hash(tower.tower.weights)
            digest.update(f"{name} {tower.tower.moving} {weights}".encode())
        return digest.hexdigest()
