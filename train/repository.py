"""The served model repository: what Triton loads, put together from the checked-in models and a built set."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from .architecture import SLOTS, TEXT_SLOTS, Tower, fusion_inputs
from .build import ModelSet
from .errors import ServedTreeError

SOURCE = Path(__file__).parents[1] / "model_repository"
ENTRIES = {"query": "query_encoder", "item": "item_encoder"}
MODELS = (*ENTRIES.values(), *SLOTS, "fusion_query", "fusion_item")
SHARED = {"entry": ("entry.py", "pictures.py", "rows.py", "tokens.py"), "tower": ("tower.py",)}
MAX_TEXT_BYTES = 65_536
MAX_IMAGE_BYTES = 20_000_000
STAMP = "served.json"
# The fusion's input that each text slot of a side feeds.
FEEDS = {"query": {"bibert_query": "TEXT", "clip_text": "CLIP_TEXT"}, "item": {"bibert_item": "TEXT"}}

Config = Any  # tritonclient's generated message has no types of its own


def assemble(built: ModelSet, tree: Path, version: int = 1) -> bool:
    """Makes `tree` serve the set as `version` of every model; False where it does so already.

    A tree that serves anything else is replaced whole, by renaming, so that a server never sees half of one.
    """
    stamp = {"fingerprint": built.fingerprint, "sources": _sources_hash(), "version": version}
    if (tree / STAMP).exists() and json.loads((tree / STAMP).read_text(encoding="utf-8")) == stamp:
        return False
    if tree.exists() and not (tree / STAMP).exists() and any(tree.iterdir()):
        raise ServedTreeError(
            f"expected {tree} to be empty or a served model repository, got other files; name another folder"
        )
    tree.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".models-", dir=tree.parent))
    try:
        draft.chmod(0o755)
        for model in MODELS:
            if model in SLOTS and model not in built.architecture.slots:
                continue
            write_version(built, model, draft, version)
        (draft / STAMP).write_text(json.dumps(stamp) + "\n", encoding="utf-8")
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


def write_version(built: ModelSet, model: str, tree: Path, version: int) -> None:
    """Writes one model's configs and its folder `version` under `tree`."""
    target = tree / model / str(version)
    target.mkdir(parents=True)
    shutil.copyfile(SOURCE / model / "1" / "model.py", target / "model.py")
    shared = SHARED["entry" if model in ENTRIES.values() else "tower"]
    for name in shared:
        shutil.copyfile(SOURCE / "serving" / name, target / name)
    if model in ENTRIES.values():
        side = model.removesuffix("_encoder")
        description = serving(built, side, version)
        for tower in description["text_towers"]:
            _link(built.folder / tower["tokenizer"], target / tower["tokenizer"])
        text = json.dumps(description, indent=2) + "\n"
        (target / "serving.json").write_text(text, encoding="utf-8")
    else:
        tower = built.architecture.slots.get(model, model)
        _link(built.folder / f"{tower}.onnx", target / "model.onnx")
    for name in ("config.pbtxt", "configs/gpu.pbtxt"):
        if (SOURCE / model / name).exists():
            config = parse_config(SOURCE / model / name)
            fill(config, built, model)
            (tree / model / name).parent.mkdir(exist_ok=True)
            (tree / model / name).write_text(text_format.MessageToString(config), encoding="utf-8")


def parse_config(file: Path) -> Config:
    """A config.pbtxt as Triton's own message; raises text_format.ParseError."""
    return text_format.Parse(file.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())


def fill(config: Config, built: ModelSet, model: str) -> None:
    """Sets what depends on the architecture: dims of inputs and outputs, and an entry's parameters."""
    architecture = built.architecture
    fusion = architecture.fusion
    dims: dict[str, list[int]] = {
        "EMBEDDING": [fusion.dimension],
        "TEXT_EMBEDDING": [fusion.text_dimension],
        "IMAGE_EMBEDDING": [fusion.image_dimension],
    }
    if model in SLOTS:
        tower = architecture.towers[architecture.slots[model]]
        dims["FEATURES"] = [tower.dimension]
        if tower.reads_pictures:
            dims["PIXELS"] = [int(tower.numbers["size"]), int(tower.numbers["size"]), 3]
    elif model in ENTRIES.values():
        parameters = {
            "fingerprint": built.fingerprint,
            "architecture": architecture.name,
            "max_text_bytes": str(MAX_TEXT_BYTES),
            "max_image_bytes": str(MAX_IMAGE_BYTES),
        }
        for name, value in parameters.items():
            config.parameters[name].string_value = value
    else:
        inputs = fusion_inputs(architecture, model.removeprefix("fusion_"))
        dims |= {name: [width] for name, width in inputs.items()}
    for tensor in (*config.input, *config.output):
        if tensor.name in dims:
            tensor.dims[:] = dims[tensor.name]


def serving(built: ModelSet, side: str, version: int) -> dict[str, Any]:
    """What an entry model reads at its start: limits, towers with their versions, and what each one feeds.

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
                "version": version,
                "tokenizer": f"{tower.name}.tokenizer.json",
                "max_tokens": tower.numbers["max_tokens"],
                "pad_to": tower.numbers.get("pad_to"),
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
        "picture_tower": _picture_tower(architecture.tower("clip_image"), version),
        "fusion": {
            "model": f"fusion_{side}",
            "version": version,
            "inputs": fusion_inputs(architecture, side),
        },
    }


def _picture_tower(tower: Tower | None, version: int) -> dict[str, Any] | None:
    if tower is None:
        return None
    return {
        "model": "clip_image",
        "version": version,
        "size": tower.numbers["size"],
        "fit": tower.numbers["fit"],
        "feeds": ["IMAGE"],
    }


def _link(source: Path, target: Path) -> None:
    """A hard link, or a copy where the two lie on different file systems."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _sources_hash() -> str:
    """The checked-in models and their code, so that a changed file is served after the next build."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for file in sorted(SOURCE.rglob("*")):
        if file.suffix in (".py", ".pbtxt"):
            digest.update(str(file.relative_to(SOURCE)).encode() + file.read_bytes())
    return digest.hexdigest()
