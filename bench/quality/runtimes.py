"""What the runtimes of the item towers cost in quality: nDCG@10 of vectors by fp32, int8 and bf16.

    .venv/bin/python bench runtimes [--sets furniture openclipart] [--queries 250] [--short]

The queries are keywords and tags, as in `bench lexical`. Each is compared with every product, without an
index, by the untrained default architecture. Queries are served by int8, which is the fastest for a lone
one, so that the runtimes of the products are compared beside int8 queries, and beside exact ones. Nothing is
timed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import evaluate_demo
import numpy as np
import orjson
from ingesting.parts import PICTURES, TEXTS, Files, Tower, by_onnxruntime, by_openvino
from measuring.interleaved import Table
from measuring.options import Options
from measuring.real_node import say

from mmsearch.config import cache_folder
from mmsearch.evaluation.compare import compare
from mmsearch.evaluation.judgments import Judgments, from_records
from mmsearch.evaluation.measures import Scores, parse, score
from mmsearch.evaluation.runs import Run
from mmsearch.ingest.item import Item
from mmsearch.models.architecture import load
from mmsearch.models.build import build
from mmsearch.models.export.calibration import DEPTH, overlap
from mmsearch.products.catalog import Catalog
from mmsearch.products.record import parse as product_of
from mmsearch.serving.fusion_session import FusionSession
from mmsearch.serving.pictures.images import decode
from mmsearch.serving.pictures.pixels import Frame
from mmsearch.serving.tokens import Tokens

SETS = ("furniture", "openclipart")
MEASURE = f"ndcg(esci)@{DEPTH}"
EXACT, TODAY, BF16 = "fp32", "int8", "bf16"
AT_LEAST = 0.995
"""of nDCG@10 with fp32"""


@dataclass(frozen=True)
class Set:
    """A catalog's texts and pixels (None where there is no picture) in one order, and its judgments."""

    identifiers: list[str]
    texts: list[str]
    pixels: list[Any]
    judgments: Judgments

    @classmethod
    def of(cls, folder: Path, frame: Frame) -> Set:
        lines = (folder / "judgments.jsonl").read_bytes().splitlines()
        found = cls([], [], [], from_records(map(orjson.loads, lines)))
        with closing(Catalog(str(folder / "catalog.jsonl"))) as catalog:
            for line in catalog:
                item = Item.of(line, product_of(line))
                pictures = item.product.pictures
                found.identifiers.append(item.product.id)
                found.texts.append(item.text)
                found.pixels.append(decode((folder / pictures[0]).read_bytes(), frame) if pictures else None)
        return found


class Runtimes:
    """The default towers by runtime, with the fusions of the default architecture."""

    def __init__(self) -> None:
        files = Files.default()
        self._tokens, self.frame = Tokens(files.tokenizer, 128), Frame(224)
        self._texts: Mapping[str, Tower] = {
            EXACT: by_onnxruntime(files.text),
            TODAY: by_onnxruntime(files.text_int8),
            BF16: by_openvino(files.text, "bf16"),
        }
        exact = by_onnxruntime(files.picture)
        # The picture tower has no int8 file: it is served as fp32 then.
        self._pictures = {EXACT: exact, TODAY: exact, BF16: by_openvino(files.picture, "bf16")}
        folder = build(load("4tmm_cat"), "int8", lambda _: None).folder
        self._item, self._query = (
            FusionSession(folder / f"fusion_{side}.onnx") for side in ("item", "query")
        )

    def texts(self, runtime: str, texts: Sequence[str]) -> Any:
        """Features of texts, float32 [n, dimension]."""
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        rows: dict[int, Any] = {}
        for batch in batches(order, TEXTS):
            ids, mask = self._tokens([texts[row] for row in batch])
            found = self._texts[runtime]({"INPUT_IDS": ids, "ATTENTION_MASK": mask})
            rows |= dict(zip(batch, np.array(found), strict=True))
        return np.stack([rows[row] for row in range(len(texts))])

    def pictures(self, runtime: str, pixels: Sequence[Any]) -> Any:
        """Features of pictures, float32 [n, dimension]; zeros where there is none."""
        there = [row for row, each in enumerate(pixels) if each is not None]
        found = [
            np.array(self._pictures[runtime]({"PIXELS": np.stack([pixels[row] for row in batch])}))
            for batch in batches(there, PICTURES)
        ]
        features = np.zeros((len(pixels), found[0].shape[1]), np.float32)
        features[there] = np.concatenate(found)
        return features

    def items(self, runtime: str, data: Set) -> Any:
        """Unit vectors of the products, float32 [n, dimension]."""
        feeds = {"TEXT": self.texts(runtime, data.texts), "IMAGE": self.pictures(runtime, data.pixels)}
        return self._item.run(feeds, ["EMBEDDING"])["EMBEDDING"]

    def queries(self, runtime: str, texts: Sequence[str]) -> Any:
        """Unit vectors of the queries, float32 [n, dimension]."""
        read = self.texts(runtime, texts)
        nothing = np.zeros((len(texts), self._pictures_width()), np.float32)
        feeds = {"TEXT": read, "CLIP_TEXT": read, "IMAGE": nothing}
        return self._query.run(feeds, ["EMBEDDING"])["EMBEDDING"]

    def _pictures_width(self) -> int:
        return int(self.pictures(EXACT, [np.zeros((self.frame.size, self.frame.size, 3), np.uint8)]).shape[1])


def batches(rows: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (rows[at : at + size] for at in range(0, len(rows), size))


def run_of(name: str, data: Set, queries: Sequence[str], scores: Any) -> Run:
    """The best products of each query."""
    answers = {}
    for query, row in zip(queries, scores, strict=True):
        best = np.argsort(-row, kind="stable")[: 10 * DEPTH]
        answers[query] = {data.identifiers[place]: float(row[place]) for place in best}
    return Run(name, answers)


def judge(table: Table, name: str, data: Set, runtimes: Runtimes) -> None:
    """Add a set's figures: each runtime of the products beside each of the queries."""
    keys = list(data.judgments.queries)
    words = [str(data.judgments.queries[key].text) for key in keys]
    measure = parse(MEASURE, data.judgments)
    asked = {runtime: runtimes.queries(runtime, words) for runtime in (EXACT, TODAY, BF16)}
    scores: dict[str, dict[str, Scores]] = {runtime: {} for runtime in asked}
    tables: dict[str, Any] = {}
    for items in asked:
        say(f"{name}: {len(words)} queries over {len(data.texts)} products by {items}")
        vectors = runtimes.items(items, data)
        for queries, each in asked.items():
            found = each @ vectors.T
            scores[queries][items] = score(measure, data.judgments, run_of(items, data, keys, found))
            table.figures[f"{name}, products {items}, queries {queries}"] = [scores[queries][items].mean]
            if queries == EXACT:
                tables[items] = found
    figure = partial(table.figure, exact=True)
    intervals: list[str] = []
    # As served: by int8; and without its loss, which all runtimes of the products share.
    for queries, at_least in ((TODAY, AT_LEAST), (EXACT, AT_LEAST), (BF16, None)):
        for items, against, least in ((BF16, EXACT, at_least), (BF16, TODAY, None), (TODAY, EXACT, None)):
            beside = compare(scores[queries][items], scores[queries][against])
            low, high = (1 + edge / beside.baseline for edge in (beside.low, beside.high))
            figure(f"{name}, queries {queries}: {items} to {against}", beside.ratio, {">=": least})
            if against == EXACT:
                intervals.append(f"{items} with {queries} queries {low:.3f} to {high:.3f}")
    for items in (TODAY, BF16):
        figure(f"{name}: overlap@{DEPTH} of {items} and {EXACT}", overlap(tables[EXACT], tables[items]), {})
    table.note(
        f"{name}: {len(data.texts)} products, {len(words)} queries; 95 % intervals of the ratio to {EXACT}, "
        f"over queries drawn with replacement: {', '.join(intervals)}."
    )


def written(folder: Path, name: str, queries: int) -> Path:
    """The folder of a set."""
    write = {"furniture": evaluate_demo.write_furniture, "openclipart": evaluate_demo.write_openclipart}[name]
    return write(folder / name, cache_folder(), queries)


def main() -> int:
    parser = Options(__doc__, queries=(2000, 50))
    parser.short["sets"] = ["furniture"]
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    asked = parser.parse()
    runtimes = Runtimes()
    table = Table("quality-runtimes", f"nDCG@{DEPTH}", {})
    with tempfile.TemporaryDirectory() as scratch:
        for name in asked.sets:
            data = Set.of(written(Path(scratch), name, asked.queries), runtimes.frame)
            judge(table, name, data, runtimes)
    return 0 if table.finish() else 1
