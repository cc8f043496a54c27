"""The served encoders against onnxruntime called directly with the same inputs.

    .venv/bin/python bench/encoders.py [--triton HOST:PORT] [--rounds 5]

The default models are served for the time of the run, unless --triton says where they are. Latency is one
caller with batches of one, the time added by Triton in milliseconds, against one onnxruntime thread;
throughput is two callers with batches of 32 against onnxruntime, with one thread and with all cores: a tower
has all cores too, but shares them with Triton and the callers.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import tritonclient.grpc as grpcclient
from interleaved import measure
from PIL import Image
from real_node import both

from mmsearch.model_repository.serving.pictures import Frame, decode
from mmsearch.model_repository.serving.tokens import Tokens
from mmsearch.train.architecture import load
from mmsearch.train.build import build

TEXT = "a comfortable armchair with wooden legs"
CALLS = 20
BATCH = 32


def session(file: object, threads: int = 1) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(file, options)


def median_ms(call: Callable[[], object]) -> float:
    times = []
    for _ in range(CALLS):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1e3)
    return float(np.median(times))


def per_second(call: Callable[[], object], callers: int) -> float:
    """Rows a second of `callers` threads that share calls of a batch for about a second."""
    started = time.perf_counter()
    call()
    calls = max(4, round(1 / (time.perf_counter() - started)))
    with ThreadPoolExecutor(callers) as pool:
        started = time.perf_counter()
        list(pool.map(lambda _: call(), range(calls)))
        return calls * BATCH / (time.perf_counter() - started)


def given(name: str, array: np.ndarray, kind: str) -> grpcclient.InferInput:
    tensor = grpcclient.InferInput(name, list(array.shape), kind)
    tensor.set_data_from_numpy(array)
    return tensor


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--triton", help="HOST:PORT of its gRPC; else one is started")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    if chosen.triton:
        return compare(chosen.triton, chosen.rounds)
    with both() as servers:
        return compare(servers.triton, chosen.rounds)


def compare(triton: str, rounds: int) -> int:
    """Measure both tables; 0 when every target is met."""
    built = build(load("4tmm_cat"), "int8", print)
    minilm, lite0 = built.towers["minilm"], built.towers["lite0"]
    text_tower, picture_tower = session(minilm.onnx("int8")), session(lite0.onnx("int8"))
    # 0 is one thread a core.
    text_all, picture_all = session(minilm.onnx("int8"), 0), session(lite0.onnx("int8"), 0)
    tokens, frame = Tokens(minilm.tokenizer, 128), Frame(224)
    client = grpcclient.InferenceServerClient(triton)
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)).save(stream, "JPEG")
    picture = stream.getvalue()

    def bare_text(rows: int, tower: onnxruntime.InferenceSession = text_tower) -> Callable[[], object]:
        ids, mask = tokens([TEXT] * rows)
        return lambda: tower.run(None, {"INPUT_IDS": ids, "ATTENTION_MASK": mask})

    def served_text(rows: int) -> Callable[[], object]:
        ids, mask = tokens([TEXT] * rows)
        inputs = [given("INPUT_IDS", ids, "INT64"), given("ATTENTION_MASK", mask, "INT64")]
        return lambda: client.infer("bibert_query", inputs)

    pixels = decode(picture, frame)

    def bare_picture(rows: int, tower: onnxruntime.InferenceSession = picture_tower) -> Callable[[], object]:
        many = np.stack([pixels] * rows)
        return lambda: tower.run(None, {"PIXELS": many})

    def served_picture(rows: int) -> Callable[[], object]:
        inputs = [given("PIXELS", np.stack([pixels] * rows), "UINT8")]
        return lambda: client.infer("clip_image", inputs)

    def entry(model: str, text: str, image: bytes, rows: int) -> Callable[[], object]:
        def column(name: str, value: bytes) -> grpcclient.InferInput:
            return given(name, np.array([[value]] * rows, dtype=object), "BYTES")

        inputs = [column("TEXT", text.encode()), column("IMAGE", image)]
        wanted = [grpcclient.InferRequestedOutput(name) for name in ("EMBEDDING", "FINGERPRINT")]
        return lambda: client.infer(model, inputs, outputs=wanted)

    def whole_text() -> object:
        ids, mask = tokens([TEXT])
        return text_tower.run(None, {"INPUT_IDS": ids, "ATTENTION_MASK": mask})

    def whole_picture() -> object:
        return picture_tower.run(None, {"PIXELS": decode(picture, frame)[None]})

    single = {
        "text, onnxruntime": bare_text(1),
        "text, tower": served_text(1),
        "text, tokenised + onnxruntime": whole_text,
        "text, query_encoder": entry("query_encoder", TEXT, b"", 1),
        "picture, onnxruntime": bare_picture(1),
        "picture, tower": served_picture(1),
        "picture, decoded + onnxruntime": whole_picture,
        "picture, item_encoder": entry("item_encoder", "", picture, 1),
    }
    arms = {name: (lambda call=call: median_ms(call)) for name, call in single.items()}
    latency = measure("encoders-latency", arms, rounds=rounds, unit="ms")
    for kind, bare, served, added in (
        ("text tower", "text, onnxruntime", "text, tower", 1.5),
        ("picture tower", "picture, onnxruntime", "picture, tower", 1.5),
        ("query_encoder", "text, tokenised + onnxruntime", "text, query_encoder", 3.0),
        ("item_encoder", "picture, decoded + onnxruntime", "picture, item_encoder", 3.0),
    ):
        pairs = zip(latency.figures[served], latency.figures[bare], strict=True)
        latency.figure(f"{kind}: added ms", float(np.median([a - b for a, b in pairs])), {"<=": added})
    batches = {
        "text, onnxruntime": (bare_text(BATCH, text_all), 1),
        "text, onnxruntime, one thread": (bare_text(BATCH), 1),
        "text, tower": (served_text(BATCH), 2),
        "text, query_encoder": (entry("query_encoder", TEXT, b"", BATCH), 2),
        "picture, onnxruntime": (bare_picture(BATCH, picture_all), 1),
        "picture, onnxruntime, one thread": (bare_picture(BATCH), 1),
        "picture, tower": (served_picture(BATCH), 2),
    }
    rates = {
        name: (lambda call=call, callers=callers: per_second(call, callers))
        for name, (call, callers) in batches.items()
    }
    throughput = measure("encoders-throughput", rates, rounds=rounds, unit="rows a second")
    throughput.target("text, tower", "text, onnxruntime", at_least=0.90)
    throughput.target("text, query_encoder", "text, onnxruntime", at_least=0.90)
    throughput.target("picture, tower", "picture, onnxruntime", at_least=0.90)
    throughput.target("text, tower", "text, onnxruntime, one thread", at_least=0.90)
    throughput.target("picture, tower", "picture, onnxruntime, one thread", at_least=0.90)
    return 0 if all([latency.finish(), throughput.finish()]) else 1


if __name__ == "__main__":
    sys.exit(main())
