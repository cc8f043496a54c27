"""Fusion of tower features into the vectors that are indexed and searched: the shared base class, and
`cat`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmsearch.models.architecture import FusionNumbers

Vectors = tuple[Tensor, Tensor, Tensor]


def unit(rows: Tensor) -> Tensor:
    """Normalize rows to length 1. A zero row stays zero, since it marks a missing modality."""
    scaled: Tensor = rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return scaled


def present(rows: Tensor) -> Tensor:
    """Return 1.0 for rows with any non-zero value, 0.0 for missing modalities; float32 [n, 1]."""
    return (rows.abs().amax(dim=1, keepdim=True) > 0).to(rows.dtype)


def turned(rows: Tensor, cosine: float) -> Tensor:
    """Turn rows, float32 [n, d] with d even, so that each has this cosine with what it was. Lengths stay, as
    do the inner products of the rows with each other, since the same orthogonal map turns them all: the plane
    of the coordinates k and k + d/2 by one angle. With other rows, inner products become `cosine` times as
    large, give or take what unrelated directions have in common.
    """
    first, second = rows.chunk(2, dim=1)
    across = torch.cat([second, -first], dim=1)
    found: Tensor = cosine * rows + (1 - cosine**2) ** 0.5 * across
    return found


class Fusion(nn.Module):
    """Both sides of a fusion. Inputs are features, float32 [n, tower's dimension]; a zero row is a missing
    modality.

    Each side returns (EMBEDDING, TEXT_EMBEDDING, IMAGE_EMBEDDING), float32 rows of length 1. A
    single-modality output is zero if the side has no input for it.
    """

    def query(self, text: Tensor, clip_text: Tensor, image: Tensor) -> Vectors:
        raise NotImplementedError

    def item(self, text: Tensor, image: Tensor) -> Vectors:
        raise NotImplementedError


class Cat(Fusion):
    """4tMM by concatenation: a unit text half and a unit image half, weighted alpha and 1 - alpha.

    At alpha = 1/2, with both halves present on both sides, the cosine is exactly (s_text + s_image) / 2; in
    general it is (alpha² s_text + (1 - alpha)² s_image) / (alpha² + (1 - alpha)²). A query's text fills both
    halves and its image the image half; for a query with both, the image half is their normalized mean.

    A missing half of a query is zero, and the other half then has length 1. So is that of a product, unless
    `substitute` is given: then it is the other half, turned so that its cosine with that one is `substitute`.
    Without it, a product that lacks an image has a text half that is longer by √2 than that of others, and
    comes before them, the more so the less a query weighs the image half. Both halves must be in one space.
    """

    def __init__(self, numbers: FusionNumbers) -> None:
        super().__init__()
        self.alpha = float(numbers.numbers.get("alpha", 0.5))
        self.substitute = numbers.numbers.get("substitute")
        self.place = numbers.image_dimension

    def query(self, text: Tensor, clip_text: Tensor, image: Tensor) -> Vectors:
        return self._halves(unit(text), unit(unit(clip_text) + unit(image[:, : self.place])))

    def item(self, text: Tensor, image: Tensor) -> Vectors:
        text, image = unit(text), unit(image[:, : self.place])
        if self.substitute is None:
            return self._halves(text, image)
        cosine = float(self.substitute)
        fused, _, _ = self._halves(
            text + turned(image, cosine) * (1 - present(text)),
            image + turned(text, cosine) * (1 - present(image)),
        )
        return fused, text, image

    def _halves(self, text: Tensor, image: Tensor) -> Vectors:
        fused = torch.cat([self.alpha * text, (1 - self.alpha) * image], dim=1)
        return unit(fused), text, image


class TextOnly(Fusion):
    """BiBERT alone: the query's text against the product's text, with the frozen towers."""

    def query(self, text: Tensor, clip_text: Tensor, image: Tensor) -> Vectors:
        return unit(text), unit(text), torch.zeros_like(image)

    def item(self, text: Tensor, image: Tensor) -> Vectors:
        return unit(text), unit(text), torch.zeros_like(image)


class ImageOnly(Fusion):
    """CLIP alone: the query's words, its image, or their mean, against the product's image."""

    def query(self, text: Tensor, clip_text: Tensor, image: Tensor) -> Vectors:
        seen = unit(unit(clip_text) + unit(image))
        return seen, torch.zeros_like(text), seen

    def item(self, text: Tensor, image: Tensor) -> Vectors:
        return unit(image), torch.zeros_like(text), unit(image)
