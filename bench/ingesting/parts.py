"""What the hardware can do: the best parts of an ingest in process, one process a core, without an index.

Each process decodes pictures by the client's own preprocessing, and runs the picture tower in small batches
and the text tower in batches of texts of nearly the same length. OpenVINO runs the towers, in bf16 where the
processor has units for it; without it the text tower is the int8 file in onnxruntime.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmsearch.images.decode import pixels
from mmsearch.ingest.item import Item
from mmsearch.models.architecture import load
from mmsearch.models.build import build
from mmsearch.products.catalog import Catalog
from mmsearch.products.record import parse
from mmsearch.serving.openvino_session import openvino
from mmsearch.serving.pictures.pixels import Frame
from mmsearch.serving.sessions import exact
from mmsearch.serving.tokens import Tokens

PICTURES, TEXTS = 4, 8
"""rows of a batch"""
WINDOW = 128
"""products that a process takes at a time, and sorts the texts of"""
SPAWN = multiprocessing.get_context("spawn")
Tower = Callable[[Mapping[str, Any]], Any]
Product = tuple[str, str]
"""a text, and the path of a picture"""


@dataclass(frozen=True)
class Files:
    """The default towers' files."""

    text: Path
    text_int8: Path
    tokenizer: Path
    picture: Path

    @classmethod
    def default(cls) -> Files:
        built = build(load("4tmm_cat"), "int8", lambda _: None)
        minilm, lite0 = built.towers["minilm"], built.towers["lite0"]
        return cls(minilm.onnx("fp32"), minilm.onnx("int8"), minilm.tokenizer, lite0.onnx("fp32"))


def by_openvino(file: Path, precision: str) -> Tower:
    """A tower on one thread, in `bf16` or `f32`."""
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    # Every process would pin its thread to the same first core.
    settings["ENABLE_CPU_PINNING"] = False
    request = openvino.Core().compile_model(str(file), "CPU", settings).create_infer_request()
    return lambda feeds: request.infer(dict(feeds))[0]


def by_onnxruntime(file: Path) -> Tower:
    """A tower on one thread."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), exact(1))
    return lambda feeds: session.run(None, dict(feeds))[0]


class Parts:
    """The parts in one process; `spent` is the processor time by part, seconds."""

    def __init__(self, files: Files, bf16: bool) -> None:
        self._picture = by_openvino(files.picture, "bf16" if bf16 else "f32")
        self._text = by_openvino(files.text, "bf16") if bf16 else by_onnxruntime(files.text_int8)
        self._tokens, self._frame = Tokens(files.tokenizer, 128), Frame(224)

    def all(self, products: Sequence[Product]) -> dict[str, float]:
        """Encode some products; processor seconds by part."""
        marks = [time.process_time()]
        decoded = [pixels(Path(picture).read_bytes(), self._frame) for _, picture in products]
        marks.append(time.process_time())
        for at in range(0, len(decoded), PICTURES):
            self._picture({"PIXELS": np.stack(decoded[at : at + PICTURES])})
        marks.append(time.process_time())
        texts = sorted((text for text, _ in products), key=len)
        for at in range(0, len(texts), TEXTS):
            ids, mask = self._tokens(texts[at : at + TEXTS])
            self._text({"INPUT_IDS": ids, "ATTENTION_MASK": mask})
        marks.append(time.process_time())
        return dict(zip(("decode", "picture tower", "text tower"), np.diff(marks).tolist(), strict=True))


_here: Parts | None = None


def _begin(files: Files, bf16: bool) -> None:
    global _here
    _here = Parts(files, bf16)


def _encode(products: Sequence[Product]) -> dict[str, float]:
    if _here is None:
        raise RuntimeError("expected a process that has begun, got one without its towers")
    return _here.all(products)


class Limit:
    """The processes, which wait between two runs; `spent` has the processor time by part of each run, ms a
    product."""

    def __init__(self, files: Files, bf16: bool) -> None:
        self.spent: dict[str, list[float]] = {}
        self._processes = os.cpu_count() or 1
        self._pool = SPAWN.Pool(self._processes, _begin, (files, bf16))
        self.towers = "OpenVINO bf16" if bf16 else "OpenVINO f32 for pictures, onnxruntime int8 for texts"

    def __call__(self, products: Sequence[Product]) -> None:
        """Encode the products."""
        # All processes end at about the same time.
        window = min(WINDOW, max(1, len(products) // (4 * self._processes)))
        windows = [products[at : at + window] for at in range(0, len(products), window)]
        found = list(self._pool.imap_unordered(_encode, windows))
        for part in found[0]:
            milliseconds = 1e3 * sum(each[part] for each in found) / len(products)
            self.spent.setdefault(part, []).append(milliseconds)

    def warm(self, products: Sequence[Product]) -> None:
        """Encode a few in every process, so that towers are compiled."""
        self._pool.map(_encode, [products] * (2 * self._processes), chunksize=1)

    @property
    def pids(self) -> list[int]:
        return [each.pid for each in multiprocessing.active_children() if each.pid is not None]

    def close(self) -> None:
        self._pool.terminate()
        self._pool.join()


def products_of(catalog: Path) -> Iterator[Product]:
    """The texts as ingest encodes them, and the pictures."""
    with closing(Catalog(str(catalog))) as lines:
        for line in lines:
            item = Item.of(line, parse(line))
            yield item.text, str(catalog.parent / item.product.pictures[0])
