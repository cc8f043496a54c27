"""Fusion heads: zero-initialized residual networks on the features of the frozen towers, in five variants.

Training starts from the output of the untrained towers and changes it only as far as the pairs require. With
a thousand products, a network without the residual loses more than it learns.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mmsearch.models.architecture import FusionNumbers
from mmsearch.models.fusion.base import Fusion, Vectors, present, unit
from mmsearch.models.fusion.kernel_map import KernelMap


class Residual(nn.Module):
    """A base plus the output of a small network, zero at initialization: unit(base + network(features))."""

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
    """Base of the learned fusions: an adapter for each text, a head for images, and vectors for missing
    modalities.

    The first `image_dimension` image features are the image's vector in the text tower's space. The head
    starts from this vector and, once fitted, from a mixture of it and the prediction of the kernel map.
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
        # Weight of the kernel map's prediction in the image's base vector.
        self.lean = nn.Parameter(torch.tensor(1.0))
        self.picture = Residual(2 * image + axes, image, hidden, dropout)
        # Learned replacement for a modality that a product lacks.
        self.absent_text = nn.Parameter(torch.randn(text) / text**0.5)
        self.absent_image = nn.Parameter(torch.randn(image) / image**0.5)

    def texts(self, text: Tensor) -> Tensor:
        return self.query_text(text, text) * present(text)

    def pictures(self, image: Tensor) -> Tensor:
        """Return unit image vectors from the tower's features, or from the output of `kernel_map`."""
        if not torch.onnx.is_in_onnx_export() and not image.any():
            # Most queries have no image, so the head is skipped for zero rows.
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
        """Fuse a product's text and image vectors, both present or replaced, into one vector."""
        raise NotImplementedError


class ThreeTower(FusionHead):
    """3tMM: products are fused into the space of the query's text, which image queries share."""

    def query(self, text: Tensor, clip_text: Tensor, image: Tensor) -> Vectors:
        text_vector = self.texts(text)
        fused = unit(text_vector + self.pictures(image))
        return fused, text_vector, fused


class WithWords(FusionHead):
    """Base of fusions with CLIP's text tower on the query side and an adapter into the image space."""

    def __init__(self, numbers: FusionNumbers, features: dict[str, int]) -> None:
        super().__init__(numbers, features)
        own = numbers.numbers
        image = numbers.image_dimension
        self.query_words = Residual(features["query_words"], image, int(own["hidden"]), float(own["dropout"]))

    def words(self, clip_text: Tensor, image: Tensor) -> Tensor:
        """Return the query's vector in the image space: of its text, its image, or the mean of both."""
        text_vector = self.query_words(clip_text, clip_text) * present(clip_text)
        return unit(text_vector + self.pictures(image))


class FourTower(WithWords):
    """4tMM: a text half and an image half on both sides. One learned scalar weighs the halves of the
    query.
    """

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
    """Text-only baseline with the same training: adapters on the texts, no image."""

    def join(self, text: Tensor, image: Tensor, features: Tensor) -> Tensor:
        return text


class PictureOnly(WithWords):
    """CLIP alone: the query's words against the product's image."""

    def query(self, text: Tensor, clip_text: Tensor, image: Tensor) -> Vectors:
        image_vector = self.words(clip_text, image)
        return image_vector, self.texts(text), image_vector

    def join(self, text: Tensor, image: Tensor, features: Tensor) -> Tensor:
        return image


class ThreeTowerMlp(ThreeTower):
    """3tMM by an MLP over text and image, as a residual on their weighted mean."""

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
    """4tMM by an MLP over the concatenation, as a residual on the concatenation."""

    def __init__(self, numbers: FusionNumbers, features: dict[str, int]) -> None:
        super().__init__(numbers, features)
        own = numbers.numbers
        self.joint = Residual(numbers.dimension, numbers.dimension, int(own["hidden"]), float(own["dropout"]))

    def join(self, text: Tensor, image: Tensor, features: Tensor) -> Tensor:
        share = torch.sigmoid(self.balance)
        both = unit(torch.cat([(1 - share) * text, share * image], dim=1))
        return self.joint(both, both)


class Gate(nn.Module):
    """Weight of a product's image in 0…1, computed from its text and image, float32 [n, 1]."""

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
    """4tMM with a gate per product over its halves, and a gate per query."""

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
    """4tMM with a small transformer over a product's two vectors, as a residual on the concatenation."""

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
