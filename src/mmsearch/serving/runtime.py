"""The runtime of a tower: onnxruntime or OpenVINO, its precision, and how a batch is cut into slices.

`mmsearch models build` and `mmsearch up` choose it by a measurement and write `runtime.json` into the version
folder of each model that runs towers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE = "runtime.json"
ONNXRUNTIME, OPENVINO = "onnxruntime", "openvino"
HIDE_BF16 = "MMSEARCH_BF16"
MOST_WORKERS = 16


class Session(Protocol):
    """What runs a file: feeds of n rows in, the named outputs out, float32 [n, dimension] each."""

    def run(self, wanted: list[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]: ...

    def get_inputs(self) -> list[Any]: ...


@dataclass(frozen=True, slots=True)
class Choice:
    """How a tower runs. `precision` is fp32, bf16 or int8; an int8 file is int8 in both runtimes.

    A batch is cut into slices of `least` to `most` rows; each slice runs on `threads` threads. `least` 0 runs
    whole batches. `ragged` towers accept texts of any length: slices are sorted by length and cut to their
    longest text.
    """

    runtime: str = ONNXRUNTIME
    precision: str = "fp32"
    least: int = 0
    most: int = 0
    threads: int = 1
    ragged: bool = False

    @property
    def name(self) -> str:
        """Return runtime and precision as one word, such as `openvino-bf16`."""
        return f"{self.runtime}-{self.precision}"

    @property
    def workers(self) -> int:
        """Return the number of slices that run at the same time on this machine."""
        return max(1, min(len(os.sched_getaffinity(0)), MOST_WORKERS) // self.threads)


def read(folder: Path) -> dict[str, Choice]:
    """Return the choices in a version folder by tower; {} if there is no file."""
    file = folder / FILE
    if not file.exists():
        return {}
    found = json.loads(file.read_text(encoding="utf-8"))
    return {tower: Choice(**choice) for tower, choice in found.items()}


def write(folder: Path, choices: Mapping[str, Choice]) -> None:
    """Write the choices of a version folder, replacing the file in one step."""
    draft = folder / f".{FILE}"
    described = {tower: asdict(choice) for tower, choice in choices.items()}
    draft.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    draft.replace(folder / FILE)


def bf16_hidden() -> bool:
    """Return whether the environment hides the processor's bf16 units."""
    return os.environ.get(HIDE_BF16, "").lower() in ("off", "0", "no")
