"""Features of the towers to the vectors that are indexed and searched: what every fusion shares, and cat."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmsearch.models.architecture import FusionNumbers

Vectors = tuple[Tensor, Tensor, Tensor]


def unit(rows: Tensor) -> Tensor:
    """Rows scaled to length 1; a row of zeros stays one, since it says that nothing is there."""
    scaled: Tensor = rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return scaled


def present(rows: Tensor) -> Tensor:
    """1.0 where a row holds anything, 0.0 where its modality is absent; float32 [n, 1]."""
    return (rows.abs().amax(dim=1, keepdim=True) > 0).to(rows.dtype)


class Fusion(nn.Module):
    """Both sides of a fusion. Features come in as float32 [n, tower's dimension]; a zero row is absent.

    Each side returns (EMBEDDING, TEXT_EMBEDDING, IMAGE_EMBEDDING), float32 rows of length 1, the single
    ones all zero where the side has nothing to fill them with.
    """

    def query(self, text: Tensor, clip_text: Tensor, image: Tensor) -> Vectors:
        raise NotImplementedError

    def item(self, text: Tensor, image: Tensor) -> Vectors:
        raise NotImplementedError


class Cat(Fusion):
    """4tMM by concatenation: unit text half and unit picture half, weighted alpha to 1 - alpha.

    At alpha = 1/2, with both halves present on both sides, the cosine is exactly (s_text + s_image) / 2; at
    any alpha it is (alpha² s_text + (1 - alpha)² s_image) / (alpha² + (1 - alpha)²). An absent half is
    zero; the other one then carries the whole length. A query's text fills both halves, its picture the
    picture half, and a query of both meets in the middle of the picture half.
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
    """BiBERT alone: the query's text against the product's, the towers as they are."""

    def query(self, text: Tensor, clip_text: Tensor, image: Tensor) -> Vectors:
        return unit(text), unit(text), torch.zeros_like(image)

    def item(self, text: Tensor, image: Tensor) -> Vectors:
        return unit(text), unit(text), torch.zeros_like(image)


class ImageOnly(Fusion):
    """CLIP alone: the query's words, its picture or the middle of both, against the product's picture."""

    def query(self, text: Tensor, clip_text: Tensor, image: Tensor) -> Vectors:
        seen = unit(unit(clip_text) + unit(image))
        return seen, torch.zeros_like(text), seen

    def item(self, text: Tensor, image: Tensor) -> Vectors:
        return unit(image), torch.zeros_like(text), unit(image)
