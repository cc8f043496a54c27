"""The precision of a set if none is asked for: that of the served set, else the best for this processor."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from mmsearch.errors import WeightsError
from mmsearch.models import build as building
from mmsearch.models import repository
from mmsearch.models.architecture import Architecture
from mmsearch.models.runtime.processor import present

AUTO = "auto"


def build(
    architecture: Architecture,
    precision: str,
    tree: Path,
    say: Callable[[str], None],
    weights: Path | None = None,
) -> tuple[str, building.ModelSet]:
    """Build the set and return it with its precision. Raise ModelError.

    `auto` keeps the precision in which `tree` serves this set, since another one has another fingerprint and
    its indexes would have to be rebuilt. Else it is mixed on a processor with bf16 units, and int8 elsewhere.
    """
    if precision != AUTO:
        return precision, building.build(architecture, precision, say, weights)
    kept = served(architecture, tree, weights)
    if kept is not None:
        return kept, building.build(architecture, kept, say, weights)
    if present().bf16:
        try:
            return "mixed", building.build(architecture, "mixed", say, weights)
        except WeightsError as error:
            say(f"int8 for items, which is less exact than bf16 here: {error}")
    return "int8", building.build(architecture, "int8", say, weights)


def served(architecture: Architecture, tree: Path, weights: Path | None = None) -> str | None:
    """Return the precision in which a tree serves the set, None if it does not."""
    for version, fingerprint in repository.fingerprints(tree).items():
        if fingerprint == building.fingerprint_of(architecture, "int8", weights):
            return "int8"
        if fingerprint == building.fingerprint_of(architecture, "fp32", weights):
            file = tree / "query_encoder" / version / "serving.json"
            towers = json.loads(file.read_text(encoding="utf-8"))["text_towers"]
            return "mixed" if any(tower.get("precision") == "int8" for tower in towers) else "fp32"
    return None
