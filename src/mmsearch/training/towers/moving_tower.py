"""A text tower in training: which of its weights move, and the way back to the frozen ones."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from mmsearch.errors import ArchitectureError
from mmsearch.models.architecture import Tower
from mmsearch.models.moving import Moving
from mmsearch.models.towers import encoders
from mmsearch.models.towers.saved_encoder import write_encoder


class MovingTower:
    """A text tower with the weights that `tower.moving` names as parameters; the others do not change.

    `module` maps token ids and mask, int64 [n, tokens], to float32 [n, dimension] with rows of length 1.
    `frozen` has the values with which the moving weights began, by their name in the encoder.
    """

    def __init__(self, tower: Tower, seed: int = 0) -> None:
        if tower.kind != "bert":
            raise ArchitectureError(
                f"expected a tower of kind bert to train, got {tower.name} of kind {tower.kind}; remove its "
                "`train`"
            )
        self.tower = tower
        self.tokenizer = encoders.tokenizer_file(tower)
        encoder = encoders.bert(tower, "sdpa")
        self.module = encoders.BertTower(encoder).eval().requires_grad_(False)
        self._upper: list[nn.Module] = []
        moving = tower.moving
        if moving.how == "last":
            self._upper = _layers(encoder, moving, tower.name)[-moving.last :]
            for layer in self._upper:
                layer.requires_grad_(True)
        elif moving.how == "all":
            encoder.requires_grad_(True)
        named = dict(encoder.named_parameters())
        if moving.how == "lora":
            changed = {
                f"{name}.weight" for name, part in encoder.named_modules() if isinstance(part, nn.Linear)
            }
            self.frozen = {name: named[name].detach().clone() for name in sorted(changed)}
            self.module.encoder = _adapted(encoder, moving, seed)
        else:
            self.frozen = {
                name: value.detach().clone() for name, value in named.items() if value.requires_grad
            }

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return the weights that move, by name."""
        return {name: value for name, value in self.module.named_parameters() if value.requires_grad}

    def learn(self) -> None:
        """Switch on the dropout of the layers that move."""
        if self._upper:
            for layer in self._upper:
                layer.train()
        else:
            self.module.train()

    def give(self, values: Mapping[str, Tensor]) -> None:
        """Set the weights that move."""
        with torch.no_grad():
            for name, parameter in self.parameters().items():
                parameter.copy_(values[name])

    def ended(self) -> dict[str, Tensor]:
        """Merge adapters into the encoder, and return the trained values of all `frozen` weights."""
        if self.tower.moving.how == "lora":
            self.module.encoder = self.module.encoder.merge_and_unload()  # type: ignore[operator]
        self.module.eval().requires_grad_(False)
        named = dict(self.module.encoder.named_parameters())
        return {name: named[name].detach().clone() for name in self.frozen}

    def interpolate(self, trained: Mapping[str, Tensor], share: float) -> None:
        """Set each weight to (1 - share) frozen + share trained (WiSE-FT, arXiv 2109.01903)."""
        named = dict(self.module.encoder.named_parameters())
        with torch.no_grad():
            for name, start in self.frozen.items():
                named[name].copy_(torch.lerp(start.to(named[name].device), trained[name], share))

    def write(self, folder: Path) -> None:
        """Write the encoder into the new `folder`, in the form in which it was read."""
        write_encoder(self.module.encoder, self.tokenizer, int(self.tower.numbers["max_tokens"]), folder)


def _layers(encoder: nn.Module, moving: Moving, name: str) -> list[nn.Module]:
    layers = getattr(getattr(encoder, "encoder", None), "layer", None)
    if layers is None or len(layers) < moving.last:
        count = "an encoder without a list of layers" if layers is None else f"{len(layers)}"
        raise ArchitectureError(
            f"expected at least {moving.last} layers in tower {name}, got {count}; correct its `train`"
        )
    return list(layers)


def _adapted(encoder: nn.Module, moving: Moving, seed: int) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    numbers = LoraConfig(
        r=moving.rank, lora_alpha=moving.alpha, target_modules="all-linear", lora_dropout=0.0
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # peft asks transformers for what a later version renames.
        warnings.simplefilter("ignore", FutureWarning)
        torch.manual_seed(seed)
        adapted: nn.Module = get_peft_model(encoder, numbers)
    return adapted
