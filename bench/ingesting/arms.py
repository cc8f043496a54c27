"""The arms of bench ingest: the run, each of its halves, one request a product, and all in one process."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import ask, connect
from mmsearch.clients.triton import Encoder, Row, Served
from mmsearch.images.preprocess import Prepared, Task, prepare
from mmsearch.ingest.item import Item
from mmsearch.ingest.job import Job
from mmsearch.ingest.product_index.bulk import packed, send
from mmsearch.ingest.product_index.target import Target, definition
from mmsearch.ingest.reporting.stats import Report
from mmsearch.ingest.runner import run
from mmsearch.products.catalog import Catalog
from mmsearch.products.record import parse

INDEX = "bench-ingest"
CONNECTIONS = 30
BATCH = 32


class Bench:
    """One node, one encoder, one catalog."""

    def __init__(
        self, url: str, triton: str, folder: Path, catalog: Path, image_root: Path | None = None
    ) -> None:
        self.url = url
        self.triton = triton
        self.folder = folder
        self.catalog = catalog
        self.image_root = image_root or catalog.parent
        self.client: OpenSearch = connect(url, connections=CONNECTIONS + 2)
        # Nothing is remembered: each round encodes all of it.
        self.encoder = Encoder(triton, remember=False)
        self.served = self.encoder.describe()
        self.names = itertools.count()

    def drop(self) -> None:
        ask(self.client, "DELETE", f"/{INDEX}*", params={"ignore_unavailable": "true"})

    def fresh(self) -> str:
        self.drop()
        return f"{INDEX}-{next(self.names)}"

    def ingest(
        self, index: str | None = None, catalog: Path | None = None, *, partial: bool = False
    ) -> Report:
        job = Job(
            str(catalog or self.catalog),
            self.image_root,
            self.folder / "rejects.jsonl",
            text_only=not partial,
            partial=partial,
            index=index or self.fresh(),
            journal=self.folder / "journal",
            batch=BATCH,
        )
        return run(job, self.encoder, self.client)

    def created(self, served: Served | None = None, *, graph: bool = True) -> Target:
        """A new index, behind its alias, with the graph of the vectors or without."""
        name = self.fresh()
        body = definition(served or self.served, ["embedding"])
        if not graph:
            # An approximate_threshold of -1 would do for faiss; lucene builds its graph all the same.
            body["settings"]["index"]["knn"] = False
            del body["mappings"]["properties"]["embedding"]["method"]
        body["aliases"] = {name: {}}
        ask(self.client, "PUT", f"/{name}-000001", body=body)
        return Target(name, f"{name}-000001", ("embedding",), created=True)

    def items(self, *, pixels: bool = False) -> list[Item]:
        """The catalog in memory with the bytes of its image files, which ingest too starts from, or with
        decoded pixels; nothing is encoded.
        """
        found = []
        with closing(Catalog(str(self.catalog))) as lines:
            for line in lines:
                item = Item.of(line, parse(line), self.served.max_text_bytes)
                if item.product.pictures:
                    result = prepare(Task(item.product.pictures, ""), self.image_root, self.served.frame())
                    if isinstance(result, Prepared):
                        item.image_hash = result.digest
                        (path,) = item.product.pictures
                        files = ((self.image_root / path).read_bytes(),)
                        item.pictures = result.pictures if pixels else files
                found.append(item)
        return found


def encode_all(bench: Bench, items: list[Item], in_flight: int) -> float:
    """Rows from memory through the encoder, by full batches; seconds."""
    rows: list[Row] = [(item.text.encode(), (item.pictures or (b"",))[0]) for item in items]
    batches = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]
    started = time.perf_counter()
    with ThreadPoolExecutor(in_flight) as pool:
        list(pool.map(lambda batch: bench.encoder.encode(batch, bench.served, ["EMBEDDING"]), batches))
    return time.perf_counter() - started


def bulk_all(bench: Bench, target: Target, items: list[Item], threads: int = 2) -> float:
    """Items with vectors into the index as ingest writes them; seconds."""
    started = time.perf_counter()

    def one(part: list[Item]) -> None:
        bulk, rest = packed(part)
        outcome = send(bench.client, target, bulk)
        if rest or outcome.again or outcome.refused:
            raise RuntimeError(f"expected all {len(part)} documents to be taken, got {outcome}")

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, [items[at : at + 500] for at in range(0, len(items), 500)]))
    return time.perf_counter() - started


def stock_all(bench: Bench, index: str, items: list[Item]) -> float:
    """One encode and one index request a document, vectors as JSON lists, 30 connections; seconds."""
    started = time.perf_counter()

    def one(item: Item) -> None:
        row = (item.text.encode(), (item.pictures or (b"",))[0])
        (vectors,) = bench.encoder.encode([row], bench.served, ["EMBEDDING"])
        vector = json.loads(json.dumps(vectors[0].tolist()))
        body = json.dumps({**item.document(), "embedding": vector})
        ask(bench.client, "PUT", f"/{index}/_doc/{item.product.id}", body=body)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(one, items))
    return time.perf_counter() - started


class InProcess:
    """The same towers by onnxruntime, with all cores, and LanceDB, in one process without a server."""

    def __init__(self, bench: Bench) -> None:
        import lancedb
        import onnxruntime

        from mmsearch.models.architecture import load
        from mmsearch.models.build import build
        from mmsearch.serving.pictures.pixels import Frame
        from mmsearch.serving.sessions import exact
        from mmsearch.serving.tokens import Tokens

        built = build(load("4tmm_cat"), "int8", lambda _: None)
        minilm, lite0 = built.towers["minilm"], built.towers["lite0"]
        self._bench = bench
        self._database = lancedb.connect(bench.folder / "lance")
        self._text = onnxruntime.InferenceSession(minilm.onnx("int8"), exact())
        self._picture = onnxruntime.InferenceSession(lite0.onnx("int8"), exact())
        self._fusion = onnxruntime.InferenceSession(built.folder / "fusion_item.onnx")
        self._width = next(each.shape[1] for each in self._fusion.get_inputs() if each.name == "IMAGE")
        self._tokens, self._frame = Tokens(minilm.tokenizer, 128), Frame(224)

    def all(self) -> int:
        """The whole catalog from its file into a new table; how many rows that has."""
        table = self._database.create_table("products", self._batches(), mode="overwrite", schema=self.schema)
        return int(table.count_rows())

    @property
    def schema(self) -> Any:
        import pyarrow

        vector = pyarrow.list_(pyarrow.float32(), self._bench.served.dimensions["EMBEDDING"])
        return pyarrow.schema([("id", pyarrow.string()), ("source", pyarrow.string()), ("embedding", vector)])

    def _batches(self) -> Iterator[Any]:
        import pyarrow

        with closing(Catalog(str(self._bench.catalog))) as lines:
            items = (Item.of(line, parse(line), self._bench.served.max_text_bytes) for line in lines)
            while batch := list(itertools.islice(items, BATCH)):
                vectors = self._encoded(batch)
                flat = pyarrow.array(vectors.ravel(), pyarrow.float32())
                yield pyarrow.record_batch(
                    [
                        pyarrow.array([item.product.id for item in batch]),
                        pyarrow.array([json.dumps(item.source) for item in batch]),
                        pyarrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
                    ],
                    schema=self.schema,
                )

    def _encoded(self, batch: list[Item]) -> Any:
        from mmsearch.serving.pictures.images import decode

        ids, mask = self._tokens([item.text for item in batch])
        (texts,) = self._text.run(None, {"INPUT_IDS": ids, "ATTENTION_MASK": mask})
        pictured = [number for number, item in enumerate(batch) if item.product.pictures]
        root = self._bench.catalog.parent
        images = np.zeros((len(batch), self._width), np.float32)
        if pictured:
            pixels = [
                decode((root / batch[number].product.pictures[0]).read_bytes(), self._frame)
                for number in pictured
            ]
            images[pictured] = self._picture.run(None, {"PIXELS": np.stack(pixels)})[0]
        return self._fusion.run(["EMBEDDING"], {"TEXT": texts, "IMAGE": images})[0]
