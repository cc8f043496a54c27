"""A model set out of an architecture: ONNX files, tokenizers, golden vectors, in a folder that is cached."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import sources
from .architecture import Architecture
from .errors import ModelError, WeightsError

PRECISIONS = ("int8", "fp32")
BUILD_SOURCES = ("build.py", "export.py", "fusion.py", "materialize.py", "towers.py")


@dataclass(frozen=True, slots=True)
class ModelSet:
    """A built set in `folder`: `<tower>.onnx`, `<tower>.tokenizer.json`, `fusion_query.onnx`,
    `fusion_item.onnx`, `golden.npz` and `set.json`."""

    folder: Path
    architecture: Architecture
    fingerprint: str
    precision: str


def cache_folder() -> Path:
    """Where built sets are kept: `$MMSEARCH_CACHE/models`, by default `~/.cache/mmsearch/models`."""
    return Path(os.environ.get("MMSEARCH_CACHE", Path.home() / ".cache" / "mmsearch")) / "models"


def build(architecture: Architecture, precision: str, say: Callable[[str], None]) -> ModelSet:
    """The architecture's untrained model set, taken from the cache or built into it (needs torch).

    `say` hears one line for each step that takes a while. Raises ModelError.
    """
    if precision not in PRECISIONS:
        raise ModelError(f"expected a precision out of {', '.join(PRECISIONS)}, got {precision!r}; name one")
    weights = {tower.weights: sources.weights_hash(tower.weights) for tower in architecture.towers.values()}
    fingerprint = architecture.fingerprint(weights, precision)
    target = cache_folder() / f"{architecture.name}-{_key(fingerprint)}"
    found = ModelSet(target, architecture, fingerprint, precision)
    if (target / "set.json").exists():
        return found
    try:
        from .materialize import materialize
    except ImportError as error:
        raise WeightsError(
            f"expected torch and its companions to build {architecture.name}, got no {error.name}; "
            "repair: pip install 'mmsearch[train]'"
        ) from error
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".building-", dir=target.parent))
    try:
        materialize(architecture, precision, draft, say)
        write_description(draft, found)
        if not target.exists():
            draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return found


def write_description(folder: Path, built: ModelSet) -> None:
    """Writes `set.json`, the last file of a set: where it is, the set is whole."""
    content: dict[str, Any] = {
        "fingerprint": built.fingerprint,
        "precision": built.precision,
        "architecture": built.architecture.data,
    }
    (folder / "set.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _key(fingerprint: str) -> str:
    """The cache's key: what is built, and by which code."""
    digest = hashlib.sha256(fingerprint.encode())
    for name in BUILD_SOURCES:
        digest.update((Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()[:16]
