"""Build the packaged encoders as torch modules; `forward` is what is exported."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmsearch.errors import ArchitectureError
from mmsearch.models import weights
from mmsearch.models.architecture import Architecture, Tower
from mmsearch.models.towers import checkpoints, clip, tokenizer_files
from mmsearch.models.towers.image_layers import LITE_MEAN, LITE_SCALE, PictureLayers
from mmsearch.serving.tokens import Tokens


class BertTower(nn.Module):
    """A BERT encoder with masked mean pooling: token ids to unit vectors."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Map int64 [n, tokens] (ids, mask) to float32 [n, dimension] with rows of length 1."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        pooled = (states * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        return functional.normalize(pooled, dim=1)


class ClassNamesTower(nn.Module):
    """Map images into a text tower's space without training.

    An image's vector is the sum of the class names' text vectors, weighted by the classifier's probabilities
    and scaled to length 1. It distinguishes only the thousand classes, and no colors.
    """

    names: Tensor

    def __init__(self, classifier: nn.Module, names: Tensor, temperature: float) -> None:
        super().__init__()
        self.classifier = classifier
        self.temperature = temperature
        self.register_buffer("names", names)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map uint8 [n, size, size, 3] to float32 [n, dimension] with rows of length 1."""
        scaled = (pixels.permute(0, 3, 1, 2).to(torch.float32) - LITE_MEAN) / LITE_SCALE
        chances = torch.softmax(self.classifier(scaled) / self.temperature, dim=1)
        return functional.normalize(chances @ self.names, dim=1)


PICTURE_KINDS: dict[str, type[ClassNamesTower] | type[PictureLayers]] = {
    "class_names": ClassNamesTower,
    "picture_layers": PictureLayers,
}


def build(architecture: Architecture, tower: Tower) -> nn.Module:
    """Return the tower with its weights, in evaluation mode, on the CPU. Raise ArchitectureError."""
    if tower.kind == "bert":
        built: nn.Module = BertTower(bert(tower))
    elif tower.kind == "open_clip_text":
        built = clip.text_tower(tower)
    elif tower.kind == "open_clip_image":
        built = clip.ClipImage(checkpoints.load(tower))
    elif tower.kind in PICTURE_KINDS:
        names_by = architecture.towers[str(tower.numbers["names_by"])]
        names = class_name_vectors(
            BertTower(bert(names_by)).eval(),
            Tokens(tokenizer_file(names_by), int(names_by.numbers["max_tokens"])),
            str(tower.numbers["prompt"]),
        )
        if tower.numbers["centred"]:
            # The mean of all names carries no information about an image and would dominate the differences.
            names = names - names.mean(0)
        built = PICTURE_KINDS[tower.kind](lite0(tower), names, float(tower.numbers["temperature"]))
    else:
        raise ArchitectureError(
            f"expected tower {tower.name} of kind bert, open_clip_text, open_clip_image, "
            f"{' or '.join(PICTURE_KINDS)}, got {tower.kind!r}; correct its kind"
        )
    return built.eval()


def write_tokenizer(tower: Tower, file: Path) -> None:
    """Write the `tokenizer.json` of a text tower."""
    if tower.kind == "open_clip_text":
        tokenizer_files.write_tokenizer(tower, file)
    else:
        shutil.copyfile(tokenizer_file(tower), file)


def tokenizer_file(tower: Tower) -> Path:
    """Return the path of a BERT tower's `tokenizer.json`."""
    return _home(tower) / weights.TOKENIZER


def _home(tower: Tower) -> Path:
    """Return the folder of a BERT tower's files, in a package or a local one."""
    if tower.weights in weights.PACKAGED:
        return weights.folder(tower.weights) / "model"
    return weights.local_encoder(tower.weights)


def bert(tower: Tower, attention: str = "eager") -> nn.Module:
    """Return a transformers encoder from the tower's packaged source or local folder (safetensors only).

    Fused attention ("sdpa") is faster in training, but cannot be exported to ONNX.
    """
    from transformers import AutoModel
    from transformers.utils import logging

    home = _home(tower)
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # loading warns about the unused pooling layer
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    encoder: nn.Module = AutoModel.from_pretrained(
        home,
        local_files_only=True,
        use_safetensors=True,
        attn_implementation=attention,
        add_pooling_layer=False,
    )
    return encoder


def lite0(tower: Tower) -> nn.Module:
    """Return timm's EfficientNet-Lite0 with the packaged ImageNet weights."""
    import timm
    from timm.layers.config import set_exportable

    file = weights.folder(tower.weights) / "models" / "efficientnet-lite0-57934424.pth"
    state = torch.load(file, map_location="cpu", weights_only=True)
    with set_exportable(True):
        classifier: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    # The two libraries name the tensors differently but list them in the same order.
    named = dict(zip(classifier.state_dict(), state.values(), strict=True))
    classifier.load_state_dict(named)
    return classifier


def class_name_vectors(texts: nn.Module, tokens: Tokens, prompt: str) -> Tensor:
    """Return the text vectors of ImageNet's 1,000 class names, each inserted into `prompt` at the braces.

    The result is float32 [1000, dimension] in class order.
    """
    from open_clip import IMAGENET_CLASSNAMES

    found = []
    with torch.inference_mode():
        for start in range(0, len(IMAGENET_CLASSNAMES), 50):
            numbers, mask = tokens([prompt.format(name) for name in IMAGENET_CLASSNAMES[start : start + 50]])
            found.append(texts(torch.from_numpy(numbers), torch.from_numpy(mask)))
    return torch.cat(found).clone()
