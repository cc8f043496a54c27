"""What a training leaves in its folder: an architecture with its weights, to build and deploy."""

from __future__ import annotations

import copy
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from mmsearch.errors import TrainingError
from mmsearch.models import gain
from mmsearch.models.architecture import Architecture, Tower
from mmsearch.models.named import CLIP_KINDS, FROZEN, keep_naming
from mmsearch.models.towers.saved_clip import write_clip
from mmsearch.models.trained_files import TOWERS, WEIGHTS
from mmsearch.models.weights import PACKAGED
from mmsearch.training.loop import Trained
from mmsearch.training.towers.moving_bert import MovingBert

DESCRIBED = ("model", "mean", "std", "quick_gelu")
"""numbers of a CLIP tower that the config in its folder has"""


def served_data(architecture: Architecture, out: Path) -> dict[str, Any]:
    """Return the architecture's data with the text towers in folders of `out`, as it is served after the
    training. Raise TrainingError when it already reads towers from there.
    """
    data: dict[str, Any] = copy.deepcopy(dict(architecture.data))
    for name, tower in architecture.towers.items():
        own = (out / TOWERS).resolve()
        if own in Path(tower.weights).resolve().parents:
            raise TrainingError(
                f"expected another folder than {out}, from which tower {name} is read, got the same; name "
                "another folder by --out"
            )
        described = data["towers"][name]
        before = copy.deepcopy(described)
        before.pop("train", None)
        described.pop("train", None)
        if tower.moving and tower.kind in CLIP_KINDS:
            described["weights"] = f"{TOWERS}/{_clips(architecture)[name]}"
            for number in DESCRIBED:
                described.pop(number, None)
        elif tower.moving or _is_folder(tower):
            described["weights"] = f"{TOWERS}/{name}"
        elif Path(tower.weights).exists():
            described["weights"] = tower.weights
        if tower.moving:
            if _is_folder(tower):
                before["weights"] = f"{TOWERS}/{FROZEN.format(name)}"
            keep_naming(data["towers"], name, before)
    return data


def write(trained: Trained, architecture: Architecture, out: Path) -> None:
    """Write the towers, the fusion's weights and the gain into `out`. The weights come last: a folder without
    them is not deployed.
    """
    moving = trained.moving.towers if trained.moving else {}
    clips = _clips(architecture)
    for folder in dict.fromkeys(clips.values()):
        changed: dict[str, Tensor] = {}
        for name in clips:
            if clips[name] == folder:
                changed |= moving[name].ended()
        _replace(out / TOWERS / folder, functools.partial(write_clip, architecture.towers[folder], changed))
    for name, tower in architecture.towers.items():
        moved = moving.get(name)
        if isinstance(moved, MovingBert):
            _replace(out / TOWERS / name, moved.write)
        if _is_folder(tower):
            target = out / TOWERS / (FROZEN.format(name) if tower.moving else name)
            if not tower.moving or _names(architecture, name):
                _replace(target, lambda folder, source=tower.weights: shutil.copytree(source, folder))
    if trained.gain:
        gain.write(trained.gain, out)
    state = trained.fusion.state_dict()
    save_file({name: value.detach().cpu().contiguous() for name, value in state.items()}, out / WEIGHTS)


def _clips(architecture: Architecture) -> dict[str, str]:
    """Return the folder of each CLIP tower that moves. Both towers of one CLIP are written into one."""
    first: dict[tuple[str, str], str] = {}
    return {
        name: first.setdefault((tower.weights, str(tower.numbers.get("model", ""))), name)
        for name, tower in architecture.towers.items()
        if tower.moving and tower.kind in CLIP_KINDS
    }


def _is_folder(tower: Tower) -> bool:
    """Return whether the tower is a local text encoder, which is copied so that the folder is complete."""
    return tower.kind == "bert" and tower.weights not in PACKAGED and Path(tower.weights).is_dir()


def _names(architecture: Architecture, name: str) -> bool:
    return any(tower.numbers.get("names_by") == name for tower in architecture.towers.values())


def _replace(target: Path, write: Any) -> None:
    """Write a folder beside `target`, then put it in its place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".writing-", dir=target.parent))
    try:
        write(scratch / target.name)
        shutil.rmtree(target, ignore_errors=True)
        (scratch / target.name).rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
