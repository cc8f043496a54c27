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
    general it is (alpha² s_text + (1 - alpha)² s_image) / (alpha² + (1 - alpha)²). A missing half is zero,
    and the other half then has length 1. A query's text fills both halves and its image the image half; for a
    query with both, the image half is their normalized mean.
    """

    def __init__(self, numbers: FusionNumbers) -> None:
        super().__init__()
        self.alpha = float(numbers.numbers.get("alpha", 0.5))
        self.place = numbers.image_dimension

    def query(self, text: Tensor, clip_text: Tensor, image: Tensor) -> Vectors:
        return self._halves(unit(text), unit(unit(clip_text) + unit(image[:, : self.place])))

    def item(self, text: Tensor, image: Tensor) -> Vectors:
        return self._halves(unit(text), unit(image[:, : self.place]))

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
