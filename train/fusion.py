"""Features of the towers to the vectors that are indexed and searched."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .architecture import Architecture
from .errors import ArchitectureError

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
    """4tMM by concatenation: unit text half and unit picture half.

    With both halves present on both sides the cosine is exactly (s_text + s_image) / 2. An absent half is
    zero; the other one then carries the whole length. A query's text fills both halves, its picture the
    picture half, and a query of both meets in the middle of the picture half.
    """

    def query(self, text: Tensor, clip_text: Tensor, image: Tensor) -> Vectors:
        return self.item(text, unit(clip_text) + unit(image))

    def item(self, text: Tensor, image: Tensor) -> Vectors:
        text, image = unit(text), unit(image)
        return unit(torch.cat([text, image], dim=1)), text, image


def build(architecture: Architecture) -> Fusion:
    """The fusion that the architecture names, untrained; raises ArchitectureError."""
    if architecture.fusion.kind == "cat":
        return Cat().eval()
    raise ArchitectureError(
        f"expected a fusion of kind cat, got {architecture.fusion.kind!r}; correct the data file"
    )
