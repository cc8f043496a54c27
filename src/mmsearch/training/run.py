"""Training from files to files, as run by `mmsearch train`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from mmsearch.errors import TrainingError
from mmsearch.models.architecture import Architecture
from mmsearch.models.fusion import registry
from mmsearch.models.trained_files import ARCHITECTURE
from mmsearch.products.in_memory import Frame, InMemoryCatalog
from mmsearch.training import distributed, output
from mmsearch.training.loop import Trained, train
from mmsearch.training.objective import Features, Training
from mmsearch.training.pairs import Pair, ProductInput, features, read_pairs, read_products
from mmsearch.training.recipes.choice import chosen
from mmsearch.training.recipes.joint import joint, learns
from mmsearch.training.towers.pick import moving_tower


def run(
    architecture: Architecture | None,
    pairs: Path | Iterable[Any] | Frame,
    catalog: Path | InMemoryCatalog,
    out: Path,
    *,
    image_root: Path | None,
    renames: Mapping[str, str] | None = None,
    preset: str | None = None,
    form: str | None = None,
    changes: Mapping[str, Any],
    say: Callable[[str], None],
    evaluated: Callable[[dict[str, float], int], None],
    only: Mapping[str, str] | None = None,
    moves: bool = False,
) -> Trained:
    """Train the fusion of the architecture, and the towers that its data file lets move, on files or data in
    memory. Without an architecture, take the one that fits the data. Write `architecture.json`,
    `fusion.safetensors`, `gain.json` and moved towers into `out`.

    `changes` overrides the architecture's `training` values; `renames`, `preset` and `form` are `--map`,
    `--preset` and `--format` of `mmsearch ingest`, and `only` selects rows of a file of pairs. `moves` lets
    the text towers move, and so does an architecture whose fusion has nothing to learn. Raise TrainingError
    when `out` has the training of another architecture, or a file cannot be read or written.
    """
    reading: dict[str, Any] = {"renames": renames, "preset": preset, "form": form}
    try:
        with distributed.group():
            with distributed.first():  # the towers' exports and features are written once and read by all
                products = read_products(catalog, image_root, say=say, **reading)
                found = read_pairs(pairs, say, only)
                if architecture is None:
                    architecture = chosen(products, found, say)
                if moves or not learns(architecture):
                    architecture = joint(architecture)
                numbers = Training.of({**architecture.data.get("training", {}), **changes})
                torch.manual_seed(numbers.seed)
                fusion = registry.build(architecture)
                _describe(architecture, out)
                data = _joined(architecture, products, found, numbers, say)
            trained = train(
                fusion, data, numbers, folder=out, say=lambda line: evaluated(line, int(line["steps"]))
            )
            if distributed.rank() == 0:
                output.write(trained, architecture, out)
            return replace(trained, architecture=architecture.name)
    except (OSError, SafetensorError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        where = error.filename if isinstance(error, OSError) and error.filename else out
        raise TrainingError(
            f"expected to read and write a training's files in {out}, got: {why} at {where}; fix or remove "
            "that, or name another folder"
        ) from error
    except torch.cuda.OutOfMemoryError as error:
        raise TrainingError(
            "expected enough GPU memory for a batch, got too little; lower `batch`, or set `chunk`, in the "
            "architecture's `training`"
        ) from error


def _describe(architecture: Architecture, out: Path) -> None:
    """Write the architecture into `out`. Raise TrainingError when `out` has another."""
    served = output.served_data(architecture, out)
    out.mkdir(parents=True, exist_ok=True)
    described = out / ARCHITECTURE
    if described.exists() and json.loads(described.read_text(encoding="utf-8")) != served:
        raise TrainingError(f"expected {out} to be empty or this training, got another; name another folder")
    described.write_text(json.dumps(served, indent=2) + "\n", encoding="utf-8")


def _joined(
    architecture: Architecture,
    products: list[ProductInput],
    pairs: list[Pair],
    numbers: Training,
    say: Callable[[str], None],
) -> Features:
    towers = {
        name: moving_tower(tower, numbers.seed) for name, tower in architecture.towers.items() if tower.moving
    }
    if not towers:
        return features(architecture, products, pairs, say)
    return features(architecture, products, pairs, say, moving=towers, cut=numbers.tokens)
