"""The fusions by the name that an architecture's data file gives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mmsearch.errors import ArchitectureError, TrainingError
from mmsearch.models.architecture import Architecture, fusion_inputs
from mmsearch.models.fusion.base import Cat, Fusion, ImageOnly, TextOnly
from mmsearch.models.fusion.fusion_heads import (
    FourTowerAttention,
    FourTowerGated,
    FourTowerMlp,
    FusionHead,
    PictureOnly,
    ThreeTowerGated,
    ThreeTowerMlp,
    TrainedTextOnly,
)

PLAIN: dict[str, type[TextOnly] | type[ImageOnly]] = {"text_only": TextOnly, "image_only": ImageOnly}
FUSION_HEADS: dict[str, type[FusionHead]] = {
    "text": TrainedTextOnly,
    "picture": PictureOnly,
    "3tmm_mlp": ThreeTowerMlp,
    "3tmm_gated": ThreeTowerGated,
    "4tmm_mlp": FourTowerMlp,
    "4tmm_gated": FourTowerGated,
    "4tmm_attention": FourTowerAttention,
}


def build(architecture: Architecture) -> Fusion:
    """The fusion that the architecture names, untrained, in evaluation mode; raises ArchitectureError."""
    numbers = architecture.fusion
    if numbers.kind == "cat":
        return Cat(numbers).eval()
    if numbers.kind in PLAIN:
        return PLAIN[numbers.kind]().eval()
    if numbers.kind not in FUSION_HEADS:
        known = ", ".join(("cat", *PLAIN, *FUSION_HEADS))
        raise ArchitectureError(
            f"expected a fusion out of {known}, got {numbers.kind!r}; correct the data file"
        )
    query, item = fusion_inputs(architecture, "query"), fusion_inputs(architecture, "item")
    widths = {
        "query_text": query["TEXT"],
        "query_words": query["CLIP_TEXT"],
        "item_text": item["TEXT"],
        "image": item["IMAGE"],
    }
    return FUSION_HEADS[numbers.kind](numbers, widths).eval()


def give(fusion: Fusion, weights: Mapping[str, Tensor], source: Path) -> None:
    """Gives a fusion the weights that `source` held; raises TrainingError when they are of another fusion."""
    try:
        fusion.load_state_dict(weights)
    except RuntimeError as error:
        raise TrainingError(
            f"expected weights of this version for {type(fusion).__name__}, "
            f"got others in {source}; train again in a new folder"
        ) from error
