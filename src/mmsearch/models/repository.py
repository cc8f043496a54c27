"""The model repository that Triton loads, assembled from the checked-in models and a built set."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmsearch.errors import ServedTreeError
from mmsearch.models import configs
from mmsearch.models.architecture import SLOTS, TEXT_SLOTS, fusion_inputs
from mmsearch.models.build import ModelSet
from mmsearch.models.configs import (
    ENTRIES,
    FILES,
    MAX_IMAGE_BYTES,
    MAX_TEXT_BYTES,
    MODELS,
    config_of,
    parsed,
    written,
)
from mmsearch.models.runtime.defaults import default_choice
from mmsearch.models.weights import file_hash
from mmsearch.serving import runtime
from mmsearch.serving.pictures.pixels import PARAMETER

SOURCE = Path(__file__).parents[1] / "model_repository"
SERVING = Path(__file__).parents[1] / "serving"
SHARED = {
    "entry": (
        "entry_model.py",
        "fusion_session.py",
        "pictures/__init__.py",
        "pictures/colours.py",
        "pictures/images.py",
        "pictures/pixels.py",
        "known_words.py",
        "rows.py",
        "runtime.py",
        "openvino_session.py",
        "opening.py",
        "sessions.py",
        "microbatch.py",
        "tokens.py",
        "tower_calls.py",
        "words.py",
    ),
    "tower": (
        "tower_model.py",
        "embedding_cache.py",
        "runtime.py",
        "openvino_session.py",
        "opening.py",
        "sessions.py",
        "microbatch.py",
    ),
}
# Towers up to this size are loaded in each process of an entry model; larger ones are shared.
MOST_IN_PROCESS = 64 << 20
STAMP = "served.json"
FUSION = "fusion.onnx"
# Input of the fusion for each text slot of a side.
FEEDS = {"query": {"bibert_query": "TEXT", "clip_text": "CLIP_TEXT"}, "item": {"bibert_item": "TEXT"}}


def assemble(built: ModelSet, tree: Path, finish: Callable[[Path], object] = lambda _: None) -> bool:
    """Make `tree` serve the set as version 1 of every model. Return False if it already does. `finish` is
    called with the new tree before it takes the place of the old one.

    A tree with another version 1 is replaced atomically by renaming. Versions deployed beside the same
    version 1 are kept, also if version 1 has been retired.
    """
    stamp = _read_stamp(tree)
    if stamp == {**stamp, "sources": _sources_hash()} and _given_out(stamp).get("1") == built.fingerprint:
        return False
    tree.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".models-", dir=tree.parent))
    try:
        draft.chmod(0o755)
        add(built, draft, 1)
        finish(draft)
        if tree.exists():
            old = Path(tempfile.mkdtemp(prefix=".old-", dir=tree.parent))
            tree.rename(old / "tree")
            draft.rename(tree)
            shutil.rmtree(old)
        else:
            draft.rename(tree)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return True


def next_version(built: ModelSet, tree: Path) -> tuple[int, bool]:
    """Return the version that serves the set in `tree` and False, or the next free version and True.

    The number of a retired version is not reused, since an index may still refer to it.
    """
    stamp = _read_stamp(tree)
    for version, fingerprint in stamp.get("versions", {}).items():
        if fingerprint == built.fingerprint:
            return int(version), False
    return max((int(version) for version in _given_out(stamp)), default=0) + 1, True


def retire(tree: Path, version: int) -> dict[str, list[int]]:
    """Remove a version from `tree`. Return the remaining versions of each changed model, entry models first.

    Models that another version uses are kept; a model without versions is removed. Raise ServedTreeError for
    a version that is not served, and for the newest one, which new indexes use.
    """
    stamp = _read_stamp(tree)
    served = sorted(int(number) for number in stamp.get("versions", {}))
    if version not in served:
        raise ServedTreeError(
            f"expected a version out of {', '.join(map(str, served)) or 'none'} in {tree}, got {version}; "
            "name one that is served"
        )
    if version == served[-1]:
        raise ServedTreeError(
            f"expected a version older than {version}, which is the newest and what a new index is made by; "
            "deploy another one first"
        )
    needed = _needed(tree, [number for number in served if number != version])
    remaining: dict[str, list[int]] = {}
    for model in MODELS:
        there = {int(folder.name) for folder in (tree / model).glob("[0-9]*")}
        # Versions above the newest one are being deployed now.
        gone = {number for number in there - needed[model] if number <= served[-1]}
        if gone:
            remaining[model] = sorted(there - gone)
            for number in gone:
                shutil.rmtree(tree / model / str(number))
            if not remaining[model]:
                shutil.rmtree(tree / model)
    versions = dict(stamp["versions"])
    retired = stamp.get("retired", {}) | {str(version): versions.pop(str(version))}
    _write_stamp(tree, stamp | {"versions": versions, "retired": retired})
    return remaining


def _needed(tree: Path, versions: Sequence[int]) -> dict[str, set[int]]:
    """Return the versions of each model that the given versions of the entry models call."""
    needed: dict[str, set[int]] = {model: set() for model in MODELS}
    for entry in ENTRIES.values():
        for version in versions:
            needed[entry].add(version)
            about = json.loads((tree / entry / str(version) / "serving.json").read_text(encoding="utf-8"))
            called = [*about["text_towers"], about["picture_tower"], about["fusion"]]
            for each in filter(None, called):
                needed[each["model"]].add(int(each["version"]))
    return needed


def fingerprints(tree: Path) -> dict[str, str]:
    """Return the fingerprint of each served version, by version; {} for a tree that is not there."""
    found: dict[str, str] = _read_stamp(tree).get("versions", {})
    return found


def _given_out(stamp: Mapping[str, Any]) -> dict[str, str]:
    """Return the fingerprint of every version ever served, by version."""
    return {**stamp.get("retired", {}), **stamp.get("versions", {})}


def add(built: ModelSet, tree: Path, version: int) -> list[str]:
    """Add the set to `tree` as `version` beside the existing ones. Return the changed models in loading
    order: towers, fusions, entry models.

    A tower whose file an earlier version already serves is not added again; the entry models refer to that
    version.
    """
    pins: dict[str, int] = {}
    changed = []
    for model in (*SLOTS, "fusion_query", "fusion_item"):
        if model in SLOTS and model not in built.architecture.slots:
            continue
        file = built.file(model) if model in SLOTS else built.folder / f"{model}.onnx"
        pins[model] = _served_as(file, tree / model) or version
        if pins[model] == version:
            _write_code(model, tree, version)
            _link(file, tree / model / str(version) / "model.onnx")
            if model in SLOTS:
                runtime.write(tree / model / str(version), {model: _choice(built, model)})
            changed.append(model)
    for side, model in ENTRIES.items():
        target = _write_code(model, tree, version)
        description = serving(built, side, pins)
        for tower in description["text_towers"]:
            name = tower["tokenizer"].removesuffix(".tokenizer.json")
            _link(built.towers[name].tokenizer, target / tower["tokenizer"])
        towers = (*description["text_towers"], *filter(None, [description["picture_tower"]]))
        for tower in towers:
            if tower["in_process"]:
                _link(built.file(tower["model"]), target / tower["in_process"]["file"])
        runtime.write(target, {tower["model"]: _choice(built, tower["model"]) for tower in towers})
        # The entry model runs the fusion itself; the separate fusion model is for clients that have features
        # already.
        _link(built.folder / f"fusion_{side}.onnx", target / FUSION)
        text = json.dumps(description, indent=2) + "\n"
        (target / "serving.json").write_text(text, encoding="utf-8")
        changed.append(model)
    for model in changed:
        _write_configs(built, model, tree, version)
    stamp = _read_stamp(tree)
    versions = stamp.get("versions", {}) | {str(version): built.fingerprint}
    _write_stamp(tree, stamp | {"sources": _sources_hash(), "versions": versions})
    return changed


def _write_stamp(tree: Path, stamp: Mapping[str, Any]) -> None:
    draft = tree / f".{STAMP}"
    draft.write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")
    draft.replace(tree / STAMP)


def _write_code(model: str, tree: Path, version: int) -> Path:
    """Write the folder of a model's version with its code, replacing an incomplete one of an earlier
    attempt.
    """
    target = tree / model / str(version)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copyfile(SOURCE / model / "1" / "model.py", target / "model.py")
    for name in SHARED["entry" if model in ENTRIES.values() else "tower"]:
        copy = target / name
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(SERVING / name, copy)
    return target


def _write_configs(built: ModelSet, model: str, tree: Path, version: int) -> None:
    """Write a model's configs with the dims of the set, or -1 where an older version has other dims.

    Parameters of older versions are kept.
    """
    for name, run_by in FILES.items():
        config = config_of(built, model, version, run_by)
        target = tree / model / name
        if target.exists():
            older = parsed(target)
            for key, parameter in older.parameters.items():
                if key.startswith(PARAMETER) and key not in config.parameters:
                    config.parameters[key].string_value = parameter.string_value
            before = {tensor.name: list(tensor.dims) for tensor in (*older.input, *older.output)}
            for tensor in (*config.input, *config.output):
                if tensor.name in before and before[tensor.name] != list(tensor.dims):
                    tensor.dims[:] = [-1] * len(tensor.dims)
        target.parent.mkdir(exist_ok=True)
        draft = target.with_name(f".{target.name}")
        draft.write_text(written(config), encoding="utf-8")
        draft.replace(target)


def _served_as(file: Path, model: Path) -> int | None:
    """Return the version of a served model with the same ONNX file, or None."""
    for served in sorted(model.glob("*/model.onnx")):
        if served.samefile(file) or (
            served.stat().st_size == file.stat().st_size and file_hash(served) == file_hash(file)
        ):
            return int(served.parent.name)
    return None


def _read_stamp(tree: Path) -> dict[str, Any]:
    """Return the stamp of a served tree, {} if there is none. Raise ServedTreeError for a folder with other
    content.
    """
    if (tree / STAMP).exists():
        stamp: dict[str, Any] = json.loads((tree / STAMP).read_text(encoding="utf-8"))
        return stamp
    if tree.exists() and any(tree.iterdir()) and not (tree / ENTRIES["query"]).exists():
        raise ServedTreeError(
            f"expected {tree} to be empty or a served model repository, got other files; name another folder"
        )
    return {}


def serving(built: ModelSet, side: str, pins: Mapping[str, int]) -> dict[str, Any]:
    """Return the `serving.json` of an entry model: limits, towers with pinned versions, and the inputs that
    each one feeds.

    A tower that fills two slots of one side is called once and feeds both.
    """
    architecture = built.architecture
    slots = FEEDS[side]
    texts: dict[str, dict[str, Any]] = {}
    for slot in TEXT_SLOTS:
        tower = architecture.tower(slot)
        if slot not in slots or tower is None:
            continue
        if tower.name not in texts:
            texts[tower.name] = {
                "model": slot,
                "version": pins[slot],
                "tokenizer": f"{tower.name}.tokenizer.json",
                "max_tokens": tower.numbers["max_tokens"],
                "pad_to": tower.numbers.get("pad_to"),
                "precision": built.precision_of(slot),
                "in_process": _in_process(built, slot),
                "feeds": [],
            }
        texts[tower.name]["feeds"].append(slots[slot])
    return {
        "fingerprint": built.fingerprint,
        "architecture": architecture.name,
        "precision": built.precision,
        "max_text_bytes": MAX_TEXT_BYTES,
        "max_image_bytes": MAX_IMAGE_BYTES,
        "text_towers": list(texts.values()),
        "picture_tower": _picture_tower(built, pins),
        "fusion": {
            "model": f"fusion_{side}",
            "version": pins[f"fusion_{side}"],
            "inputs": fusion_inputs(architecture, side),
        },
    }


def _picture_tower(built: ModelSet, pins: Mapping[str, int]) -> dict[str, Any] | None:
    tower = built.architecture.tower("clip_image")
    if tower is None:
        return None
    return {
        "model": "clip_image",
        "version": pins["clip_image"],
        "precision": built.precision_of("clip_image"),
        "in_process": _in_process(built, "clip_image"),
        "size": tower.numbers["size"],
        "fit": tower.numbers["fit"],
        "feeds": ["IMAGE"],
    }


def _in_process(built: ModelSet, slot: str) -> dict[str, Any] | None:
    """Return the file of a tower that an entry model runs in its own process; None for a large one."""
    if built.file(slot).stat().st_size > MOST_IN_PROCESS:
        return None
    return {"file": f"{slot}.onnx"}


def _choice(built: ModelSet, slot: str) -> runtime.Choice:
    """Return how a tower runs until `models.runtime` has measured it."""
    tower = built.towers[built.architecture.slots[slot]].tower
    return default_choice(
        built.precision_of(slot),
        pictures=tower.reads_pictures,
        fixed_length=tower.numbers.get("pad_to") is not None,
    )


def _link(source: Path, target: Path) -> None:
    """Create a hard link, or copy if the file systems differ."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _sources_hash() -> str:
    """Return a hash of the checked-in models and their code, so that the next build serves a changed file."""
    digest = hashlib.sha256(Path(__file__).read_bytes() + Path(configs.__file__).read_bytes())
    for folder in (SOURCE, SERVING):
        for file in sorted(folder.rglob("*.py")):
            digest.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return digest.hexdigest()
