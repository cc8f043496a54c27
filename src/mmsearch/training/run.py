"""Training from files to files, as run by `mmsearch train`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from mmsearch.errors import TrainingError
from mmsearch.models.architecture import Architecture
from mmsearch.models.fusion import registry
from mmsearch.models.trained_files import ARCHITECTURE, WEIGHTS
from mmsearch.products.in_memory import Frame, InMemoryCatalog
from mmsearch.training import distributed
from mmsearch.training.loop import Trained, train
from mmsearch.training.objective import Training
from mmsearch.training.pairs import features, read_pairs, read_products


def run(
    architecture: Architecture,
    pairs: Path | Iterable[Any] | Frame,
    catalog: Path | InMemoryCatalog,
    out: Path,
    *,
    image_root: Path | None,
    renames: Mapping[str, str] | None = None,
    form: str | None = None,
    changes: Mapping[str, Any],
    say: Callable[[str], None],
    evaluated: Callable[[dict[str, float], int], None],
) -> Trained:
    """Train the fusion of the architecture on files or data in memory. Write `architecture.json` and
    `fusion.safetensors` into `out`.

    `changes` overrides the architecture's `training` values; `renames` and `form` are `--map` and `--format`
    of `mmsearch ingest`. Raise TrainingError when the architecture has no trainable fusion, `out` has the
    training of another architecture, or a file cannot be read or written.
    """
    try:
        return _run(architecture, pairs, catalog, out, image_root, renames, form, changes, say, evaluated)
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


def _run(
    architecture: Architecture,
    pairs: Path | Iterable[Any] | Frame,
    catalog: Path | InMemoryCatalog,
    out: Path,
    image_root: Path | None,
    renames: Mapping[str, str] | None,
    form: str | None,
    changes: Mapping[str, Any],
    say: Callable[[str], None],
    evaluated: Callable[[dict[str, float], int], None],
) -> Trained:
    numbers = Training.of({**architecture.data.get("training", {}), **changes})
    torch.manual_seed(numbers.seed)
    fusion = registry.build(architecture)
    if not any(parameter.requires_grad for parameter in fusion.parameters()):
        raise TrainingError(
            f"expected an architecture with a learned fusion, got {architecture.name}, which has nothing to "
            f"train; name one out of {', '.join(registry.FUSION_HEADS)}"
        )
    out.mkdir(parents=True, exist_ok=True)
    described = out / ARCHITECTURE
    if described.exists() and json.loads(described.read_text(encoding="utf-8")) != architecture.data:
        raise TrainingError(f"expected {out} to be empty or this training, got another; name another folder")
    described.write_text(json.dumps(architecture.data, indent=2) + "\n", encoding="utf-8")
    with distributed.group():
        with distributed.first():  # the towers' exports and features are written once and read by all
            products = read_products(catalog, image_root, say=say, renames=renames, form=form)
            data = features(architecture, products, read_pairs(pairs), say)
        trained = train(fusion, data, numbers, folder=out, say=lambda line: evaluated(line, numbers.steps))
        if distributed.rank() == 0:
            state = trained.fusion.state_dict()
            weights = {name: value.detach().cpu().contiguous() for name, value in state.items()}
            save_file(weights, out / WEIGHTS)
    return trained
