"""A model set: the exported towers of an architecture and its fusion, untrained or with trained weights."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mmsearch.config import cache_folder
from mmsearch.errors import ModelError, WeightsError
from mmsearch.models.architecture import QUERY_TEXT_SLOTS, Architecture
from mmsearch.models.export.export_cache import PACKAGED, Exported, exported, weights_hashes
from mmsearch.models.weights import file_hash

PRECISIONS = {"int8": ("int8", "int8"), "fp32": ("fp32", "fp32"), "mixed": ("fp32", "int8")}
"""precision of a set → precisions of the text towers' files for items and for queries

The fingerprint is that of the items: their vectors are stored. Queries in int8 are compared with them as they
are, and rank closer to fp32 than int8 queries on int8 items do.
"""
CODE = (
    *("build.py", "export/to_onnx.py", "export/fusion_folder.py"),
    *("fusion/base.py", "fusion/registry.py", "fusion/fusion_heads.py", "fusion/kernel_map.py"),
)


@dataclass(frozen=True, slots=True)
class ModelSet:
    """A built set: the towers' exports by name, and `folder` with `fusion_query.onnx`, `fusion_item.onnx`,
    `golden.npz` (TEXTS, PIXELS, QUERY, ITEM: what torch answers) and `set.json`."""

    folder: Path
    architecture: Architecture
    fingerprint: str
    precision: str
    towers: Mapping[str, Exported]
    query_precision: str | None = None
    """precision of the text towers for queries, if it is another one than `precision`, that for items"""

    def file(self, slot: str) -> Path:
        """Return the ONNX file of a slot's tower."""
        return self.towers[self.architecture.slots[slot]].onnx(self.precision_of(slot))

    def precision_of(self, slot: str) -> str:
        """Return the precision of a slot's file, fp32 or int8."""
        if slot == "clip_image":
            return "fp32"
        asked = slot in QUERY_TEXT_SLOTS and self.query_precision
        return asked or self.precision


def build(
    architecture: Architecture, precision: str, say: Callable[[str], None], weights: Path | None = None
) -> ModelSet:
    """Build the set of the architecture in a precision of `PRECISIONS`, with the fusion of the safetensors
    file `weights` or untrained.

    The set is taken from the wheel or the cache, or built into the cache with torch. `say` is called with one
    line for each slow step. Raise ModelError.
    """
    if precision not in PRECISIONS:
        raise ModelError(f"expected a precision out of {', '.join(PRECISIONS)}, got {precision!r}; name one")
    precision, queries = PRECISIONS[precision]
    fingerprint = fingerprint_of(architecture, precision, weights)
    quantized = "int8" in (precision, queries)
    towers = {
        name: exported(architecture, tower, say, precision, quantized=quantized)
        for name, tower in architecture.towers.items()
        if architecture.slots_of(name)
    }
    name = f"set-{architecture.name}-{_key(fingerprint)}"
    for folder in (PACKAGED / name, cache_folder("models") / name):
        if folder.exists():
            return ModelSet(folder, architecture, fingerprint, precision, towers, queries)
    target = cache_folder("models") / name
    try:
        from mmsearch.models.export.fusion_folder import export_fusion_folder
    except ImportError as error:
        raise WeightsError(
            f"expected torch to build {architecture.name}, got no {error.name}; "
            "repair: pip install 'mmsearch[train]'"
        ) from error
    draft = Path(tempfile.mkdtemp(prefix=".building-", dir=target.parent))
    try:
        export_fusion_folder(architecture, towers, weights, draft)
        described = {"fingerprint": fingerprint, "precision": precision, "architecture": architecture.data}
        (draft / "set.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
        draft.chmod(0o755)
        if not target.exists():
            draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return ModelSet(target, architecture, fingerprint, precision, towers, queries)


def fingerprint_of(architecture: Architecture, precision: str, weights: Path | None = None) -> str:
    """Return the fingerprint of the set that `build` makes with these arguments."""
    hashes = weights_hashes(architecture)
    if weights is not None:
        hashes["fusion"] = file_hash(weights)
    items, _ = PRECISIONS.get(precision, (precision, precision))
    return architecture.fingerprint(hashes, items)


def _key(fingerprint: str) -> str:
    """Return the cache key: a hash of the fingerprint and the code."""
    digest = hashlib.sha256(fingerprint.encode())
    for name in CODE:
        digest.update((Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()[:16]
