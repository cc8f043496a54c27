"""Small architectures and drawn features, as the tests of training share them."""

from __future__ import annotations

from pathlib import Path

import torch

from mmsearch.models.architecture import Architecture, load, parse
from mmsearch.models.fusion import registry
from mmsearch.models.fusion.base import Fusion, unit
from mmsearch.training.loop import Run
from mmsearch.training.objective import Features, Training

CPU = torch.device("cpu")
NUMBERS = Training(steps=12, batch=32, rate=0.01, evaluate_every=4, patience=9, seed=3, holdout=0.2)


def small(name: str) -> Architecture:
    """The architecture with vectors of 16 numbers."""
    data = dict(load(name).data)
    data["towers"] = {
        key: tower | {"dimension": 16 if "size" not in tower else 40} for key, tower in data["towers"].items()
    }
    fusion = dict(data["fusion"])
    fusion |= {"text_dimension": 16, "image_dimension": 16, "dimension": fusion["dimension"] // 24}
    fusion |= {"hidden": 12} | ({"axes": 6} if fusion["axes"] else {})
    return parse(data | {"fusion": fusion})


def drawn(architecture: Architecture, seed: int = 0) -> Features:
    """Forty products in four kinds; text and picture each show the kind, under noise, and so do queries."""
    generator = torch.Generator().manual_seed(seed)

    def rows(kinds: torch.Tensor, width: int) -> torch.Tensor:
        centres = torch.randn(4, width, generator=torch.Generator().manual_seed(width))
        return unit(centres[kinds] + 2 * torch.randn(len(kinds), width, generator=generator))

    kinds = torch.arange(40) % 4
    asked = torch.arange(12) % 4
    image = architecture.towers["lite0"].dimension if "lite0" in architecture.towers else 16
    pairs = torch.cartesian_prod(torch.arange(12), torch.arange(40))
    pairs = pairs[asked[pairs[:, 0]] == kinds[pairs[:, 1]]]
    return Features(
        query_text=rows(asked, 16),
        query_words=rows(asked, 16),
        item_text=rows(kinds, 16),
        item_image=rows(kinds, image),
        pairs=pairs,
        counts=torch.ones(len(pairs)),
        known=torch.sort(pairs[:, 0] * 40 + pairs[:, 1]).values,
        group=torch.arange(40) // 2,
        negatives=torch.zeros(12, 0, dtype=torch.int64),
    )


def fresh(name: str, seed: int = 0) -> Fusion:
    torch.manual_seed(seed)
    return registry.build(small(name))


def interrupted(run: Run, folder: Path) -> None:
    """Leave in the new `folder` what a run leaves that ends after its fifth step, with a checkpoint at the
    fourth.
    """
    run.judge()
    for _ in range(4):
        run.advance()
    run.judge()
    folder.mkdir()
    run.save(folder)
    run.advance()  # lost with the process
    run.close()
