"""A tower of a CLIP in training, for its texts or its images."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from torch import nn

from mmsearch.errors import ArchitectureError
from mmsearch.models.architecture import Tower
from mmsearch.models.towers import checkpoints, clip, encoders
from mmsearch.serving.tokens import Tokens
from mmsearch.training.towers.moving_tower import MovingTower, of_parameters

HEADS = (
    *("ln_final", "text_projection", "ln_post", "attn_pool", "proj"),
    *("norm", "norm_pre", "fc_norm", "final_conv", "head"),
)
"""parts of open_clip's and timm's towers behind the last layer; they move together with it"""
LAYERS = ("resblocks", "blocks", "stages")
"""what open_clip and timm call the list of layers"""


class MovingClip(MovingTower):
    """`module` maps token ids and mask, int64 [n, context], or pixels, uint8 [n, size, size, 3], to float32
    [n, dimension].

    The other half of the CLIP is not kept. Statistics of batch normalization do not move: they would depend
    on the slices of a batch.
    """

    module: clip.ClipText | clip.ClipImage

    def __init__(self, tower: Tower) -> None:
        if tower.moving.how == "lora":
            raise ArchitectureError(
                f'expected `train` of the CLIP tower {tower.name} as "frozen", "all" or {{"last": 2}}, got '
                "lora, which is for towers of kind bert; correct the data file"
            )
        self.tower = tower
        if tower.reads_pictures:
            self.module = clip.ClipImage(checkpoints.load(tower))
        else:
            self.module = clip.text_tower(tower)
        self.module.eval().requires_grad_(False)
        _drop(self.encoder, pictures=not tower.reads_pictures)
        for part in _moving_parts(self.encoder, tower):
            part.requires_grad_(True)
        # The scale of CLIP's own loss; the loop learns a temperature instead.
        for name, parameter in self.encoder.named_parameters():
            if name in ("logit_scale", "logit_bias"):
                parameter.requires_grad_(False)
        self.frozen = of_parameters(self.encoder)

    @property
    def encoder(self) -> nn.Module:
        model: nn.Module = self.module.model
        return model

    def tokens(self, cut: int) -> Tokens:
        # Every text is as wide as the context, so a shorter one saves nothing.
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "tokenizer.json"
            encoders.write_tokenizer(self.tower, file)
            return Tokens(file, int(self.tower.numbers["max_tokens"]), self.width)

    def learn(self) -> None:
        """Leave dropout off, which the CLIPs of open_clip have only in text towers of Hugging Face."""


def _drop(model: Any, *, pictures: bool) -> None:
    """Remove the half of a CLIP that this tower does not use."""
    if pictures:
        model.visual = None
        return
    for name in ("text", "transformer", "token_embedding", "ln_final", "text_projection"):
        if hasattr(model, name):
            setattr(model, name, None)
    model.register_parameter("positional_embedding", None)


def _moving_parts(model: Any, tower: Tower) -> list[Any]:
    """Return the modules and parameters that `tower.moving` names."""
    half = model.visual if tower.reads_pictures else getattr(model, "text", None) or model
    if tower.moving.how == "all":
        return [half]
    root = next((half.get_submodule(name) for name in ("transformer", "trunk") if hasattr(half, name)), half)
    layers = next((getattr(root, name) for name in LAYERS if hasattr(root, name)), None)
    if layers is None or len(layers) < tower.moving.last:
        count = "a model without a list of layers" if layers is None else f"{len(layers)}"
        raise ArchitectureError(
            f"expected at least {tower.moving.last} layers in tower {tower.name}, got {count}; correct its "
            "`train`"
        )
    parts = [root] if root is half else [root, half]
    heads = [getattr(part, name, None) for part in parts for name in HEADS]
    return [*list(layers)[-tower.moving.last :], *(head for head in heads if head is not None)]
