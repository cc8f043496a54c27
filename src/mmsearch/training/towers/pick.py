"""The moving form of a tower, by its kind."""

from __future__ import annotations

from mmsearch.errors import ArchitectureError
from mmsearch.models.architecture import Tower
from mmsearch.models.named import CLIP_KINDS
from mmsearch.training.towers.moving_bert import MovingBert
from mmsearch.training.towers.moving_clip import MovingClip
from mmsearch.training.towers.moving_tower import MovingTower


def moving_tower(tower: Tower, seed: int = 0) -> MovingTower:
    """Return the tower with its moving weights. `seed` draws those of adapters. Raise ModelError."""
    if tower.kind == "bert":
        return MovingBert(tower, seed)
    if tower.kind in CLIP_KINDS:
        return MovingClip(tower)
    raise ArchitectureError(
        f"expected a tower of kind bert, {' or '.join(CLIP_KINDS)} to train, got {tower.name} of kind "
        f"{tower.kind}; remove its `train`"
    )
