"""A tower in training: which of its weights move, and the way back to the frozen ones."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmsearch.models.architecture import Tower
from mmsearch.serving.tokens import Tokens


class MovingTower:
    """A tower with the weights that `tower.moving` names as parameters; the others do not change.

    `module` maps the inputs of a batch to float32 [n, dimension] with rows of length 1, and `encoder` is the
    part of it that has the weights. `frozen` has the values with which the moving weights began, by their
    name in the encoder.
    """

    tower: Tower
    module: nn.Module
    frozen: dict[str, Tensor]

    @property
    def encoder(self) -> nn.Module:
        raise NotImplementedError

    @property
    def width(self) -> int | None:
        """Return the tokens of every text, if the tower needs a fixed number."""
        found: int | None = self.tower.numbers.get("pad_to")
        return found

    def tokens(self, cut: int) -> Tokens:
        """Return the tokenizer of a text tower, which cuts texts after `cut` tokens where that saves time."""
        raise NotImplementedError

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return the weights that move, by name."""
        return {name: value for name, value in self.module.named_parameters() if value.requires_grad}

    def learn(self) -> None:
        """Switch on the dropout of the layers that move."""
        raise NotImplementedError

    def give(self, values: Mapping[str, Tensor]) -> None:
        """Set the weights that move."""
        with torch.no_grad():
            for name, parameter in self.parameters().items():
                parameter.copy_(values[name])

    def ended(self) -> dict[str, Tensor]:
        """Return the trained values of all `frozen` weights. None of them moves from now on."""
        self.module.eval().requires_grad_(False)
        named = dict(self.encoder.named_parameters())
        return {name: named[name].detach().clone() for name in self.frozen}

    def interpolate(self, trained: Mapping[str, Tensor], share: float) -> None:
        """Set each weight to (1 - share) frozen + share trained (WiSE-FT, arXiv 2109.01903)."""
        named = dict(self.encoder.named_parameters())
        with torch.no_grad():
            for name, start in self.frozen.items():
                named[name].copy_(torch.lerp(start.to(named[name].device), trained[name], share))


def of_parameters(encoder: nn.Module) -> dict[str, Tensor]:
    """Return copies of the weights that move, by name."""
    return {name: value.detach().clone() for name, value in encoder.named_parameters() if value.requires_grad}
