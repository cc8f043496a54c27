"""Fusion heads: zero-initialised residuals on what the frozen towers say, joined in five ways.

All of them start as the untrained towers and move away from them only as far as the pairs lead; with a
thousand products a plain network forgets more than it learns.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mmsearch.models.architecture import FusionNumbers
from mmsearch.models.fusion.base import Fusion, Vectors, present, unit
from mmsearch.models.fusion.kernel_map import KernelMap


class Residual(nn.Module):
    """A base plus what a small network adds to it, nothing at the start: unit(base + network(features))."""

    __call__: Callable[..., Tensor]

    def __init__(self, features: int, dimension: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(features, hidden), nn.GELU(), nn.Dropout(dropout)
        )
        self.outer = nn.Linear(hidden, dimension)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, base: Tensor, features: Tensor) -> Tensor:
        changed: Tensor = self.outer(self.inner(features))
        return unit(base + changed)


class FusionHead(Fusion):
    """What the learned fusions share: an adapter for each text, a head for pictures, vectors for the absent.

    The picture's features begin with its place in the text tower's space (`image_dimension` numbers); the
    head starts there, and once fitted between that and where people's queries put such pictures.
    """

    def __init__(self, numbers: FusionNumbers, features: dict[str, int]) -> None:
        super().__init__()
        own = numbers.numbers
        hidden, dropout = int(own["hidden"]), float(own["dropout"])
        self.place = numbers.image_dimension
        text, image, axes = numbers.text_dimension, numbers.image_dimension, int(own["axes"])
        self.query_text = Residual(features["query_text"], text, hidden, dropout)
        self.item_text = Residual(features["item_text"], text, hidden, dropout)
        self.kernel_map = KernelMap(numbers, features["image"])
        # How far the picture's place leans to what the fitted map says of it.
        self.lean = nn.Parameter(torch.tensor(1.0))
        self.picture = Residual(2 * image + axes, image, hidden, dropout)
        # What stands in for a modality that a product lacks.
        self.absent_text = nn.Parameter(torch.randn(text) / text**0.5)
        self.absent_image = nn.Parameter(torch.randn(image) / image**0.5)

    def texts(self, text: Tensor) -> Tensor:
        return self.query_text(text, text) * present(text)

    def pictures(self, image: Tensor) -> Tensor:
        """Unit picture vectors from the tower's features, or from what `kernel_map` made of them before."""
        if not torch.onnx.is_in_onnx_export() and not image.any():
            # Most queries hold no picture: the head would work on zeros for nothing.
            return torch.zeros(len(image), self.place, device=image.device)
        if image.shape[1] != 2 * self.place + len(self.kernel_map.axes):
            image = self.kernel_map(image)
        place, predicted = image[:, : self.place], image[:, self.place : 2 * self.place]
        lean = torch.sigmoid(self.lean)
        return self.picture((1 - lean) * place + lean * predicted, image) * present(image)

    def item(self, text: Tensor, image: Tensor) -> Vectors:
        text_vector, image_vector = self.item_text(text, text) * present(text), self.pictures(image)
        filled = (
            text_vector + unit(self.absent_text.unsqueeze(0)) * (1 - present(text)),
            image_vector + unit(self.absent_image.unsqueeze(0)) * (1 - present(image)),
        )
        return self.join(*filled, image), text_vector, image_vector

    def join(self, text: Tensor, image: Tensor, features: Tensor) -> Tensor:
        """A product's text and picture vectors, both present or filled in, to its fused vector."""
        raise NotImplementedError


class ThreeTower(FusionHead):
    """3tMM: products are fused into the space of the query's text, where pictures as queries live too."""

    def query(self, text: Tensor, clip_text: Tensor, image: Tensor) -> Vectors:
        text_vector = self.texts(text)
        fused = unit(text_vector + self.pictures(image))
        return fused, text_vector, fused


class WithWords(FusionHead):
    """What has CLIP's text tower on the query's side: an adapter of its own into the picture space."""

    def __init__(self, numbers: FusionNumbers, features: dict[str, int]) -> None:
        super().__init__(numbers, features)
        own = numbers.numbers
        image = numbers.image_dimension
        self.query_words = Residual(features["query_words"], image, int(own["hidden"]), float(own["dropout"]))

    def words(self, clip_text: Tensor, image: Tensor) -> Tensor:
        """The query's vector in the picture space: of its text, its picture, or the middle of both."""
        text_vector = self.query_words(clip_text, clip_text) * present(clip_text)
        return unit(text_vector + self.pictures(image))


class FourTower(WithWords):
    """4tMM: a text half and a picture half on both sides, the query's weighted by one learned number."""

    def __init__(self, numbers: FusionNumbers, features: dict[str, int]) -> None:
        super().__init__(numbers, features)
        self.balance = nn.Parameter(torch.tensor(float(numbers.numbers.get("balance", 0.0))))

    def query(self, text: Tensor, clip_text: Tensor, image: Tensor) -> Vectors:
        text_vector, image_vector = self.texts(text), self.words(clip_text, image)
        share = torch.sigmoid(self.balance)
        return (
            unit(torch.cat([(1 - share) * text_vector, share * image_vector], dim=1)),
            text_vector,
            image_vector,
        )


class TrainedTextOnly(ThreeTower):
    """The text-only control with the same training: adapters on the texts, no picture."""

    def join(self, text: Tensor, image: Tensor, features: Tensor) -> Tensor:
        return text


class PictureOnly(WithWords):
    """CLIP alone: the query's words against the product's picture."""

    def query(self, text: Tensor, clip_text: Tensor, image: Tensor) -> Vectors:
        image_vector = self.words(clip_text, image)
        return image_vector, self.texts(text), image_vector

    def join(self, text: Tensor, image: Tensor, features: Tensor) -> Tensor:
        return image


class ThreeTowerMlp(ThreeTower):
    """3tMM by an MLP over text and picture, residual on their weighted middle."""

    def __init__(self, numbers: FusionNumbers, features: dict[str, int]) -> None:
        super().__init__(numbers, features)
        own = numbers.numbers
        both = numbers.text_dimension + numbers.image_dimension
        self.joint = Residual(both, numbers.dimension, int(own["hidden"]), float(own["dropout"]))
        self.balance = nn.Parameter(torch.tensor(float(own.get("balance", 0.0))))

    def join(self, text: Tensor, image: Tensor, features: Tensor) -> Tensor:
        share = torch.sigmoid(self.balance)
        return self.joint((1 - share) * text + share * image, torch.cat([text, image], dim=1))


class FourTowerMlp(FourTower):
    """4tMM by an MLP over the concatenation, residual on the concatenation."""

    def __init__(self, numbers: FusionNumbers, features: dict[str, int]) -> None:
        super().__init__(numbers, features)
        own = numbers.numbers
        self.joint = Residual(numbers.dimension, numbers.dimension, int(own["hidden"]), float(own["dropout"]))

    def join(self, text: Tensor, image: Tensor, features: Tensor) -> Tensor:
        share = torch.sigmoid(self.balance)
        both = unit(torch.cat([(1 - share) * text, share * image], dim=1))
        return self.joint(both, both)


class Gate(nn.Module):
    """How far to trust a product's picture: a number of 0…1 from its text and picture, float32 [n, 1]."""

    __call__: Callable[..., Tensor]

    def __init__(self, features: int, hidden: int, dropout: float, start: float) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Dropout(dropout))
        self.outer = nn.Linear(hidden, 1)
        nn.init.zeros_(self.outer.weight)
        nn.init.constant_(self.outer.bias, start)

    def forward(self, features: Tensor) -> Tensor:
        return torch.sigmoid(self.outer(self.inner(features)))


class ThreeTowerGated(ThreeTower):
    """3tMM with a gate for each product: (1 - g) text + g picture."""

    def __init__(self, numbers: FusionNumbers, features: dict[str, int]) -> None:
        super().__init__(numbers, features)
        own = numbers.numbers
        both = numbers.text_dimension + numbers.image_dimension
        self.gate = Gate(both, int(own["gate"]), float(own["dropout"]), float(own.get("balance", 0.0)))

    def join(self, text: Tensor, image: Tensor, features: Tensor) -> Tensor:
        share = self.gate(torch.cat([text, image], dim=1))
        return unit((1 - share) * text + share * image)


class FourTowerGated(FourTower):
    """4tMM with a gate for each product on its halves, and one for each query on its own."""

    def __init__(self, numbers: FusionNumbers, features: dict[str, int]) -> None:
        super().__init__(numbers, features)
        own = numbers.numbers
        size, dropout, start = int(own["gate"]), float(own["dropout"]), float(own.get("balance", 0.0))
        self.gate = Gate(numbers.dimension, size, dropout, start)
        self.query_gate = Gate(numbers.dimension, size, dropout, start)

    def query(self, text: Tensor, clip_text: Tensor, image: Tensor) -> Vectors:
        text_vector, image_vector = self.texts(text), self.words(clip_text, image)
        share = self.query_gate(torch.cat([text_vector, image_vector], dim=1))
        return (
            unit(torch.cat([(1 - share) * text_vector, share * image_vector], dim=1)),
            text_vector,
            image_vector,
        )

    def join(self, text: Tensor, image: Tensor, features: Tensor) -> Tensor:
        share = self.gate(torch.cat([text, image], dim=1))
        return unit(torch.cat([(1 - share) * text, share * image], dim=1))


class FourTowerAttention(FourTower):
    """4tMM with a small transformer over a product's two vectors, residual on the concatenation."""

    def __init__(self, numbers: FusionNumbers, features: dict[str, int]) -> None:
        super().__init__(numbers, features)
        own = numbers.numbers
        width = numbers.text_dimension
        self.mixed = nn.MultiheadAttention(width, int(own["heads"]), float(own["dropout"]), batch_first=True)
        self.joint = Residual(2 * width, numbers.dimension, int(own["hidden"]), float(own["dropout"]))

    def join(self, text: Tensor, image: Tensor, features: Tensor) -> Tensor:
        share = torch.sigmoid(self.balance)
        both = torch.cat([(1 - share) * text, share * image], dim=1)
        tokens = torch.stack([text, image], dim=1)
        image_vector, _ = self.mixed(tokens, tokens, tokens, need_weights=False)
        return self.joint(unit(both), image_vector.flatten(1))
