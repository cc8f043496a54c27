"""The served encoders against onnxruntime called directly with the same inputs.

    .venv/bin/python bench encoders [--rounds 15] [--short]

The default models are served for the time of the run. Latency is one caller with batches of one, the time
added by Triton in milliseconds, against one onnxruntime thread, by the two carriers that are in use: HTTP,
as a node asks for a query's vectors, and gRPC, as ingest asks for those of products. Throughput is four
callers with batches of 32, as many as ingest starts with, against onnxruntime, with one thread and with all
cores: a tower has all cores too, but shares them with Triton and the callers.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import onnxruntime
from measuring.carriers import Given, by_grpc, by_http, strings, tensor
from measuring.interleaved import Table, measure
from measuring.options import Options
from measuring.real_node import Client, both, median_ms
from PIL import Image

from mmsearch.clients.triton import Encoder
from mmsearch.models.architecture import load
from mmsearch.models.build import build
from mmsearch.serving.pictures.images import decode
from mmsearch.serving.pictures.pixels import Frame
from mmsearch.serving.sessions import exact
from mmsearch.serving.tokens import Tokens
from mmsearch.stack.state import Ports

TEXT = "a comfortable armchair with wooden legs"
CALLS = 40
BATCH = 32
CALLERS = 4


def session(file: object, threads: int = 1) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(file, exact(threads))


def per_second(call: Callable[[], object], callers: int) -> float:
    """Rows a second of `callers` threads that share calls of a batch for about a second."""
    started = time.perf_counter()
    call()
    calls = max(4, round(1 / (time.perf_counter() - started)))
    with ThreadPoolExecutor(callers) as pool:
        started = time.perf_counter()
        list(pool.map(lambda _: call(), range(calls)))
        return calls * BATCH / (time.perf_counter() - started)


def main() -> int:
    chosen = Options(__doc__, rounds=(15, 1)).parse()
    with both() as servers:
        bench = Encoders(servers.ports)
        tables = [bench.latency(chosen.rounds), bench.throughput(max(3, chosen.rounds // 2))]
    finished = [table.finish() for table in tables]
    return 0 if all(finished) else 1


class Encoders:
    """The default towers, as files for onnxruntime and as the given servers serve them."""

    def __init__(self, ports: Ports) -> None:
        built = build(load("4tmm_cat"), "int8", print)
        self.minilm, self.lite0 = built.towers["minilm"], built.towers["lite0"]
        self.tokens, self.frame = Tokens(self.minilm.tokenizer, 128), Frame(224)
        stream = io.BytesIO()
        drawn = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
        Image.fromarray(drawn).save(stream, "JPEG")
        self.picture = stream.getvalue()
        self.client = Client(f"http://127.0.0.1:{ports.triton_http}")
        self.channel = grpc.insecure_channel(f"127.0.0.1:{ports.triton_grpc}")
        # What was read before is computed again, as it is by onnxruntime.
        self.ingest = Encoder(f"127.0.0.1:{ports.triton_grpc}", remember=False)
        self.served = self.ingest.describe()

    def text(self, rows: int) -> list[Given]:
        ids, mask = self.tokens([TEXT] * rows)
        return [tensor("INPUT_IDS", ids), tensor("ATTENTION_MASK", mask)]

    def pixels(self, rows: int) -> np.ndarray:
        return np.stack([decode(self.picture, self.frame)] * rows)

    def bare_text(self, rows: int, threads: int = 1) -> Callable[[], object]:
        tower, (ids, mask) = session(self.minilm.onnx("int8"), threads), self.tokens([TEXT] * rows)
        return lambda: tower.run(None, {"INPUT_IDS": ids, "ATTENTION_MASK": mask})

    def bare_picture(self, rows: int, threads: int = 1) -> Callable[[], object]:
        tower, pixels = session(self.lite0.onnx("int8"), threads), self.pixels(rows)
        return lambda: tower.run(None, {"PIXELS": pixels})

    def read_text(self, rows: int, threads: int = 1) -> Callable[[], object]:
        """What an entry has to do for texts at the least: tokens and the tower."""
        tower = session(self.minilm.onnx("int8"), threads)

        def call() -> object:
            ids, mask = self.tokens([TEXT] * rows)
            return tower.run(None, {"INPUT_IDS": ids, "ATTENTION_MASK": mask})

        return call

    def read_picture(self) -> Callable[[], object]:
        """What an entry has to do for a picture at the least: decoding and the tower."""
        tower = session(self.lite0.onnx("int8"))
        return lambda: tower.run(None, {"PIXELS": self.pixels(1)})

    def rows(self, count: int, text: str = "", picture: bytes = b"") -> list[Given]:
        """What an entry is given: as many equal rows, each with what is named of it."""
        return [strings("TEXT", [text.encode()] * count), strings("IMAGE", [picture] * count)]

    def latency(self, rounds: int) -> Table:
        """One caller, batches of one, milliseconds."""
        pixels = [tensor("PIXELS", self.pixels(1))]
        vectors, features = ("EMBEDDING", "FINGERPRINT"), ("FEATURES",)
        calls = {
            "text, onnxruntime": self.bare_text(1),
            "text tower, HTTP": by_http(self.client, "bibert_query", self.text(1), features),
            "text tower, gRPC": by_grpc(self.channel, "bibert_query", self.text(1), features),
            "text, tokenised + onnxruntime": self.read_text(1),
            "query_encoder, HTTP": by_http(self.client, "query_encoder", self.rows(1, TEXT), vectors),
            "picture, onnxruntime": self.bare_picture(1),
            "picture tower, HTTP": by_http(self.client, "clip_image", pixels, features),
            "picture tower, gRPC": by_grpc(self.channel, "clip_image", pixels, features),
            "picture, decoded + onnxruntime": self.read_picture(),
            "query_encoder, a picture, HTTP": by_http(
                self.client, "query_encoder", self.rows(1, picture=self.picture), vectors
            ),
            "item_encoder, gRPC": lambda: self.ingest.encode([(b"", self.picture)], self.served, vectors[:1]),
        }
        arms = {name: (lambda call=call: median_ms([call] * CALLS)) for name, call in calls.items()}
        table = measure("encoders-latency", arms, rounds=rounds, unit="ms")
        for bare, most, *served in (
            ("text, onnxruntime", 1.5, "text tower, HTTP", "text tower, gRPC"),
            ("text, tokenised + onnxruntime", 3.0, "query_encoder, HTTP"),
            ("picture, onnxruntime", 1.5, "picture tower, HTTP", "picture tower, gRPC"),
            ("picture, decoded + onnxruntime", 3.0, "query_encoder, a picture, HTTP", "item_encoder, gRPC"),
        ):
            for name in served:
                added = statistics.median(table.differences(name, bare))
                table.figure(f"added by Triton, ms: {name}", added, {"<=": most})
        return table

    def throughput(self, rounds: int) -> Table:
        """Batches of 32, rows a second; CALLERS of what is served, one of onnxruntime."""
        features, vectors = ("FEATURES",), ("EMBEDDING", "FINGERPRINT")
        pixels = [tensor("PIXELS", self.pixels(BATCH))]
        # 0 is one thread a core.
        calls = {
            "text, onnxruntime": (self.bare_text(BATCH, 0), 1),
            "text, onnxruntime, one thread": (self.bare_text(BATCH), 1),
            "text tower": (by_grpc(self.channel, "bibert_query", self.text(BATCH), features), CALLERS),
            "text, tokenised + onnxruntime": (self.read_text(BATCH, 0), 1),
            "query_encoder": (
                by_grpc(self.channel, "query_encoder", self.rows(BATCH, TEXT), vectors),
                CALLERS,
            ),
            "picture, onnxruntime": (self.bare_picture(BATCH, 0), 1),
            "picture, onnxruntime, one thread": (self.bare_picture(BATCH), 1),
            "picture tower": (by_grpc(self.channel, "clip_image", pixels, features), CALLERS),
        }
        rates = {
            name: (lambda call=call, callers=callers: per_second(call, callers))
            for name, (call, callers) in calls.items()
        }
        table = measure("encoders-throughput", rates, rounds=rounds, unit="rows a second")
        for served, bare in (
            ("text tower", "text, onnxruntime"),
            ("text tower", "text, onnxruntime, one thread"),
            ("query_encoder", "text, tokenised + onnxruntime"),
            ("picture tower", "picture, onnxruntime"),
            ("picture tower", "picture, onnxruntime, one thread"),
        ):
            table.target(served, bare, at_least=0.90)
        return table
