"""CLIP towers on open_clip: any of its models, with a pretrained tag, a local checkpoint, or a config file.

In an architecture's data file: `"kind": "open_clip_text"` or `"open_clip_image"`, `"model"` an open_clip name
such as `ViT-B-32` or `hf-hub:Marqo/marqo-fashionCLIP`, or the path of a config's .json file, and
`"weights"` either `open_clip:TAG` or the path of a .safetensors file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .architecture import Tower
from .errors import WeightsError
from .sources import OPEN_CLIP


class ClipText(nn.Module):
    """CLIP's text tower: token numbers to unit features."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """int64 [n, context] twice → float32 [n, dimension], each row of length 1."""
        # CLIP finds a text's end by itself; the product keeps the mask an input, as every text tower has it.
        features: Tensor = self.model.encode_text(input_ids * attention_mask)
        return functional.normalize(features, dim=1)


class ClipImage(nn.Module):
    """CLIP's picture tower: pixels to unit features, with the model's own mean and deviation."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        for name, values in (("mean", model.visual.image_mean), ("deviation", model.visual.image_std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 [n, size, size, 3] → float32 [n, dimension], each row of length 1."""
        values = pixels.permute(0, 3, 1, 2).to(torch.float32) / 255
        features: Tensor = self.model.encode_image((values - self.mean) / self.deviation)
        return functional.normalize(features, dim=1)


def load(tower: Tower) -> Any:
    """The open_clip model that a tower names, in evaluation mode; raises WeightsError."""
    import open_clip

    name = str(tower.numbers["model"])
    if name.endswith(".json"):
        open_clip.add_model_config(Path(name))
        name = Path(name).stem
    if tower.weights.startswith(OPEN_CLIP):
        pretrained: str | None = tower.weights.removeprefix(OPEN_CLIP) or None
    elif tower.weights.endswith(".safetensors"):
        pretrained = tower.weights
    else:
        raise WeightsError(
            f"expected {OPEN_CLIP}TAG or a .safetensors file as the weights of {tower.name}, "
            f"got {tower.weights!r}; save the checkpoint as safetensors"
        )
    # The fused attention of torch's own layers has no ONNX form.
    torch.backends.mha.set_fastpath_enabled(False)
    # `pretrained_text` would otherwise look for the text tower's weights in a hub.
    return open_clip.create_model(name, pretrained=pretrained, pretrained_text=False).eval()


def write_tokenizer(tower: Tower, file: Path) -> None:
    """Writes open_clip's tokenizer as a `tokenizer.json`, so that serving needs no open_clip.

    Raises WeightsError for a model whose tokenizer is not CLIP's own byte-pair one.
    """
    import open_clip
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    clip = open_clip.tokenizer.SimpleTokenizer()
    vocabulary = int(load(tower).vocab_size)
    if vocabulary != clip.vocab_size:
        raise WeightsError(
            f"expected CLIP's vocabulary of {clip.vocab_size} words in {tower.name}, got {vocabulary}; "
            "use a model with CLIP's own tokenizer"
        )
    tokenizer = Tokenizer(
        models.BPE(
            clip.encoder, list(clip.bpe_ranks), end_of_word_suffix="</w>", continuing_subword_prefix=""
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
            normalizers.Lowercase(),
        ]
    )
    pieces = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pieces, "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    start, end = "<start_of_text>", "<end_of_text>"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, clip.sot_token_id), (end, clip.eot_token_id)],
    )
    tokenizer.save(str(file))
