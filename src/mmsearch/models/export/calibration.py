"""Provide the texts that calibrate an int8 tower, and measure its loss on other texts."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mmsearch.serving.sessions import exact
from mmsearch.serving.tokens import Tokens

Floats = NDArray[np.float32]
TOGETHER = 32
DEPTH = 10
HALF = 500
LIST = 20


@dataclass(frozen=True, slots=True)
class Loss:
    """The loss by int8: mean and lowest cosine to fp32, and top-10 overlap with fp32."""

    cosine: float
    lowest_cosine: float
    overlap: float

    def sentence(self) -> str:
        return (
            f"int8 against fp32: overlap@{DEPTH} {self.overlap:.3f}, "
            f"cosine {self.cosine:.4f} (lowest {self.lowest_cosine:.4f})"
        )


def calibration_texts() -> list[str]:
    """Return class names, sentences with them, and lists as long as descriptions; the same in each call."""
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    names = _names()[:HALF]
    said = [
        OPENAI_IMAGENET_TEMPLATES[number % len(OPENAI_IMAGENET_TEMPLATES)](name)
        for number, name in enumerate(names)
    ]
    lists = [", ".join(names[start : start + LIST]) for start in range(0, HALF, LIST // 2)]
    return sorted([*names[: HALF // 2], *said[HALF // 2 :], *lists], key=len)


def batches(tokens: Tokens) -> Iterator[dict[str, NDArray[np.int64]]]:
    """Return the calibration texts as input batches of a text tower."""
    yield from _fed(tokens, calibration_texts())


def measured(fp32: Path, int8: Path, tokens: Tokens) -> Loss:
    """Compare a tower's fp32 and int8 files on texts that are not in the calibration."""
    names = _names()[HALF:]
    queries, products = names[: HALF // 5], [f"a photo of a {name}" for name in names[HALF // 5 :]]
    exact = [_vectors(fp32, tokens, texts) for texts in (queries, products)]
    rounded = [_vectors(int8, tokens, texts) for texts in (queries, products)]
    cosines = (np.concatenate(exact) * np.concatenate(rounded)).sum(1)
    return Loss(
        float(cosines.mean()),
        float(cosines.min()),
        overlap(exact[0] @ exact[1].T, rounded[0] @ rounded[1].T),
    )


def overlap(before: Floats, after: Floats) -> float:
    """Return the mean top-10 overlap: the share of a row's ten highest scores that both have."""
    tops = [np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH] for scores in (before, after)]
    return float(np.mean([np.isin(*rows).mean() for rows in zip(*tops, strict=True)]))


def write(loss: Loss, file: Path) -> None:
    file.write_text(json.dumps(asdict(loss)) + "\n", encoding="utf-8")


def read(file: Path) -> Loss | None:
    """Return the measured loss, or None if it was not measured."""
    return Loss(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


def _names() -> list[str]:
    from open_clip import IMAGENET_CLASSNAMES

    names = list(IMAGENET_CLASSNAMES)
    random.Random(0).shuffle(names)  # noqa: S311 - not for secrets
    return names


def _fed(tokens: Tokens, texts: Sequence[str]) -> Iterator[dict[str, NDArray[np.int64]]]:
    for start in range(0, len(texts), TOGETHER):
        ids, mask = tokens(texts[start : start + TOGETHER])
        yield {"INPUT_IDS": ids, "ATTENTION_MASK": mask}


def _vectors(file: Path, tokens: Tokens, texts: Sequence[str]) -> Floats:
    session = onnxruntime.InferenceSession(file, exact())
    return np.concatenate([session.run(None, feeds)[0] for feeds in _fed(tokens, texts)])
