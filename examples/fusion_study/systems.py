"""Systems whose text towers may move: what is trained, over which text encoder, and with what pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmsearch.models import architecture as architectures
from mmsearch.models.architecture import Architecture
from mmsearch.models.named import named
from mmsearch.models.trained_files import ARCHITECTURE
from mmsearch.training import output
from mmsearch.training.loop import Trained
from mmsearch.training.recipes.joint import joint


@dataclass(frozen=True, slots=True)
class System:
    """An architecture and how it is trained.

    `moves` says how many upper layers of its text tower move (None: it is frozen). `again` trains
    the fusion once more, over the tower that the joint training left. `shuffled` has the pictures of other
    products.
    """

    architecture: str
    moves: int | None = None
    again: bool = False
    shuffled: bool = False

    @property
    def label(self) -> str:
        joint = " joint" if self.moves is not None else ""
        return f"{'shuffled ' * self.shuffled}{self.architecture}{joint}{', two steps' * self.again}"


def over(name: str, encoder: Path | None, numbers: dict[str, Any]) -> Architecture:
    """The architecture with the text encoder of a folder, or MiniLM; `numbers` go into its `training`."""
    found = named(name, None if encoder is None else str(encoder))
    data: dict[str, Any] = dict(found.data)
    data["training"] = {**data.get("training", {}), **numbers}
    return architectures.parse(data, found.folder)


def moving(system: System, encoder: Path | None, numbers: dict[str, Any]) -> Architecture:
    """The architecture as it is trained first."""
    if system.moves is None:
        return over(system.architecture, encoder, numbers)
    return joint(over(system.architecture, encoder, numbers), {"last": system.moves})


def write_joint(system: System, moved: Architecture, trained: Trained, folder: Path) -> None:
    """Write a joint training into `folder` as the architecture over its tower, which stays frozen there."""
    folder.mkdir(parents=True, exist_ok=True)
    served = output.served_data(moved, folder)
    served["training"] = dict(architectures.load(system.architecture).data["training"])
    (folder / ARCHITECTURE).write_text(json.dumps(served, indent=2) + "\n", encoding="utf-8")
    output.write(trained, moved, folder)
