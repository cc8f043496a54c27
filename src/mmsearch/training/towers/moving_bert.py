"""A BERT text tower in training."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from mmsearch.errors import ArchitectureError
from mmsearch.models.architecture import Tower
from mmsearch.models.moving import Moving
from mmsearch.models.towers import encoders
from mmsearch.models.towers.saved_encoder import write_encoder
from mmsearch.serving.tokens import Tokens
from mmsearch.training.towers.moving_tower import MovingTower, of_parameters


class MovingBert(MovingTower):
    """`module` maps token ids and mask, int64 [n, tokens], to float32 [n, dimension]."""

    module: encoders.BertTower

    def __init__(self, tower: Tower, seed: int = 0) -> None:
        self.tower = tower
        self.tokenizer = encoders.tokenizer_file(tower)
        encoder = encoders.bert(tower, "sdpa")
        self.module = encoders.BertTower(encoder).eval().requires_grad_(False)
        self._upper: list[nn.Module] = []
        moving = tower.moving
        if moving.how == "lora":
            named = dict(encoder.named_parameters())
            changed = {
                f"{name}.weight" for name, part in encoder.named_modules() if isinstance(part, nn.Linear)
            }
            self.frozen = {name: named[name].detach().clone() for name in sorted(changed)}
            self.module.encoder = _adapted(encoder, moving, seed)
            return
        if moving.how == "last":
            self._upper = _layers(encoder, moving, tower.name)[-moving.last :]
            for layer in self._upper:
                layer.requires_grad_(True)
        elif moving.how == "all":
            encoder.requires_grad_(True)
        self.frozen = of_parameters(encoder)

    @property
    def encoder(self) -> nn.Module:
        return self.module.encoder

    def tokens(self, cut: int) -> Tokens:
        return Tokens(self.tokenizer, min(int(self.tower.numbers["max_tokens"]), cut), self.width)

    def learn(self) -> None:
        if self._upper:
            for layer in self._upper:
                layer.train()
        else:
            self.module.train()

    def ended(self) -> dict[str, Tensor]:
        """Merge adapters into the encoder, and return the trained values of all `frozen` weights."""
        if self.tower.moving.how == "lora":
            self.module.encoder = self.module.encoder.merge_and_unload()  # type: ignore[operator]
        return super().ended()

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
