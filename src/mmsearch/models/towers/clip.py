"""Build CLIP towers with open_clip from a pretrained tag, a checkpoint's file, a folder, or a hub's model.

In an architecture's data file: `"kind": "open_clip_text"` or `"open_clip_image"`, `"model"` an open_clip name
such as `ViT-B-32`, or the path of a config's .json file, and `"weights"` either `open_clip:TAG` or the path
of a .safetensors file. If `"weights"` is a folder or a hub's model such as `hf-hub:Marqo/marqo-fashionCLIP`,
it is also the model: `open_clip_config.json`, a .safetensors file and the tokenizer's files. `"mean"` and
`"std"` normalize the pixels of weights from a file.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmsearch.models.architecture import Tower
from mmsearch.models.towers import checkpoints, tokenizer_files


class ClipText(nn.Module):
    """CLIP's text tower: token ids to unit vectors.

    `padding` is the id that follows a text's end in training. `dropped` is an id that the model reads as 0.
    """

    def __init__(self, model: Any, padding: int = 0, dropped: int | None = None) -> None:
        super().__init__()
        self.model = model
        self.padding = padding
        self.dropped = dropped

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Map int64 [n, context] (ids, mask) to float32 [n, dimension] with rows of length 1."""
        # CLIP finds the end of a text by its id. The mask remains an input, as in every text tower.
        ids = input_ids * attention_mask
        if self.padding:
            ids = ids + self.padding * (1 - attention_mask)
        if self.dropped is not None:
            ids = ids * (ids != self.dropped)
        features: Tensor = self.model.encode_text(ids)
        return functional.normalize(features, dim=1)


class ClipImage(nn.Module):
    """CLIP's image tower: pixels to unit vectors, normalized by the model's mean and standard deviation."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        for name, values in (("mean", model.visual.image_mean), ("deviation", model.visual.image_std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Map uint8 [n, size, size, 3] to float32 [n, dimension] with rows of length 1."""
        values = pixels.permute(0, 3, 1, 2).to(torch.float32) / 255
        features: Tensor = self.model.encode_image((values - self.mean) / self.deviation)
        return functional.normalize(features, dim=1)


def text_tower(tower: Tower) -> ClipText:
    """Return the text tower with its tokenizer's padding and dropped ids. Raise WeightsError."""
    model = checkpoints.load(tower)
    tokenizer = tokenizer_files.tokenizer_of(tower, model)
    return ClipText(model, tokenizer_files.padding(tokenizer), tokenizer_files.dropped(tokenizer))
