"""Export each tower once into a cache folder: ONNX files, tokenizer, and reference outputs of torch."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mmsearch.config import cache_folder
from mmsearch.errors import WeightsError
from mmsearch.models import weights
from mmsearch.models.architecture import Architecture, Tower

# A change to these files invalidates cached exports.
CODE = ("export/to_onnx.py", "export/tower_folder.py", "towers/encoders.py")
QUANTIZED = ("export/calibration.py", "export/quantize.py")
CODE_OF_KIND = {
    "bert": QUANTIZED,
    "open_clip_text": ("towers/clip.py", "towers/checkpoints.py", "towers/tokenizer_files.py", *QUANTIZED),
    "open_clip_image": ("towers/clip.py", "towers/checkpoints.py"),
    "picture_layers": ("towers/image_layers.py",),
}


@dataclass(frozen=True, slots=True)
class Exported:
    """The folder of an exported tower: `fp32.onnx` and `golden.npz` (TEXTS or PIXELS, and torch's FEATURES
    for them). Text towers also have `tokenizer.json`, and once int8 was asked for, `int8.onnx` and
    `int8.json` (loss by int8).
    """

    tower: Tower
    folder: Path

    def onnx(self, precision: str) -> Path:
        """Return the file to serve. Image towers are always fp32, since int8 does not make them faster
        here.
        """
        return self.folder / ("fp32.onnx" if self.tower.reads_pictures else f"{precision}.onnx")

    @property
    def tokenizer(self) -> Path:
        return self.folder / "tokenizer.json"

    @property
    def loss(self) -> Path:
        """Return the loss by int8 from `calibration.read`; None for image towers and for towers from a
        wheel.
        """
        return self.folder / "int8.json"


MODELS = Path(__file__).parents[1]
PACKAGED = MODELS / "packaged"
"""folder of the wheel with the default set and its towers, under the names of the cache"""


def exported(
    architecture: Architecture,
    tower: Tower,
    say: Callable[[str], None],
    precision: str | None = None,
    *,
    quantized: bool = False,
) -> Exported:
    """Return the export of a tower from the wheel or the cache, or create it with torch. Raise ModelError.

    The wheel has the files of one `precision` only, and is not used if none is given. A text tower also gets
    its int8 form if that is the precision or `quantized` is true: calibrating a CLIP takes minutes. `say` is
    called with one line when an export is created, and with one when it is quantized.
    """
    name = f"{tower.name}-{_key(architecture, tower)}"
    packaged = Exported(tower, PACKAGED / name)
    if precision is not None and packaged.onnx(precision).is_file():
        return packaged
    target = Exported(tower, cache_folder("models") / name)
    wanted = (quantized or precision == "int8") and not tower.reads_pictures
    quantizing = wanted and not target.onnx("int8").is_file()
    if target.folder.exists() and not quantizing:
        return target
    try:
        from mmsearch.models.export.tower_folder import export_tower_folder, quantize_tower
    except ImportError as error:
        raise WeightsError(
            f"expected torch and its companions to export {tower.name}, got no {error.name}; "
            "repair: pip install 'mmsearch[train]'"
        ) from error
    if not target.folder.exists():
        say(f"exporting {tower.name} ({tower.weights})")
        _create(target, lambda draft: export_tower_folder(architecture, tower, draft))
    if quantizing:
        say(f"quantizing {tower.name} to int8")
        quantize_tower(tower, target.folder)
    return target


def _create(target: Exported, write: Callable[[Path], None]) -> None:
    """Write the folder of an export beside its place and rename it, unless another process was faster."""
    target.folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".exporting-", dir=target.folder.parent))
    try:
        write(draft)
        draft.chmod(0o755)
        if not target.folder.exists():
            draft.rename(target.folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def weights_hashes(architecture: Architecture) -> dict[str, str]:
    """Return the sha256 (hex) of each source of weights in the architecture, by the source as its data file
    has it, so that the fingerprint does not depend on where a training's folder is.
    """
    return {
        str(architecture.data["towers"][name]["weights"]): weights.weights_hash(tower.weights)
        for name, tower in architecture.towers.items()
    }


def _key(architecture: Architecture, tower: Tower) -> str:
    """Return the cache key: a hash of the tower's parameters, those of the tower it depends on, their
    weights, and the code.
    """
    involved = [tower]
    if "names_by" in tower.numbers:
        involved.append(architecture.towers[str(tower.numbers["names_by"])])
    described = [
        [
            each.kind,
            each.dimension,
            # The tower that names the classes is described itself; what it is called changes no vector.
            {key: value for key, value in each.numbers.items() if key != "names_by"},
            weights.weights_hash(each.weights),
        ]
        for each in involved
    ]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name in (*CODE, *CODE_OF_KIND.get(tower.kind, ())):
        digest.update((MODELS / name).read_bytes())
    return digest.hexdigest()[:16]
