"""Many callers at once against one Triton model.

They run in processes of their own, so that Python's lock in the callers is not what is measured.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import tritonclient.grpc as grpcclient
from numpy.typing import NDArray

from mmsearch.serving.pictures.pixels import Frame, packed

PROCESSES = 8
FRAME = Frame(224)
SHAPE = (FRAME.size, FRAME.size, 3)
QUERY = 16
"""tokens of a query"""
WORDS = (60, 118)
"""fewest words of a product's text, and one more than the most; each is one token"""
PRODUCT = """
the wood chair table with soft seat and four strong legs made of oak in a light brown colour for your home
easy to clean two year support ships in one box size height width depth weight design classic modern
"""
KINDS = {"INPUT_IDS": "INT64", "ATTENTION_MASK": "INT64", "PIXELS": "UINT8"}  # others are BYTES


@dataclass(frozen=True)
class Load:
    """So many callers of a model (up to 8 share the processes out), each with one request of `batch` rows
    under way, for `seconds`."""

    triton: str
    model: str
    batch: int
    callers: int
    seconds: float = 2.0


def inputs(model: str, rows: int) -> dict[str, NDArray[Any]]:
    """What a model is asked with: pixels, tokens of queries or products, or texts with pixels."""
    draw = np.random.default_rng()
    if model == "clip_image":
        return {"PIXELS": draw.integers(0, 256, (rows, *SHAPE), np.uint8)}
    words = draw.integers(*WORDS, rows)
    if model == "item_encoder":
        texts = [" ".join(draw.choice(PRODUCT.split(), count)).encode() for count in words]
        pictures = [packed(draw.integers(0, 256, SHAPE, np.uint8), FRAME) for _ in range(rows)]
        return {
            "TEXT": np.array(texts, object).reshape(-1, 1),
            "IMAGE": np.array(pictures, object).reshape(-1, 1),
        }
    tokens = words + 2 if model == "bibert_item" else np.full(rows, QUERY)
    mask = (np.arange(tokens.max()) < tokens[:, None]).astype(np.int64)
    return {"INPUT_IDS": mask * draw.integers(1000, 20_000, mask.shape), "ATTENTION_MASK": mask}


def tensors(feed: Mapping[str, NDArray[Any]]) -> list[Any]:
    """Arrays as what Triton's client sends."""
    found = []
    for name, array in feed.items():
        tensor = grpcclient.InferInput(name, list(array.shape), KINDS.get(name, "BYTES"))
        tensor.set_data_from_numpy(array)
        found.append(tensor)
    return found


def measure(load: Load, clock: Callable[[], float] = time.perf_counter) -> dict[str, float]:
    """Rows a second of all callers together, and what Triton says of the batches that it made.

    `ms a row` is what `clock`, in seconds, moved on for a row, while the callers were warm. `rows at once` is
    the mean of rows that the model ran on together; `queued ms` and `infer ms` are means of a request's wait
    and of a batch's run. Raises RuntimeError where a caller fails.
    """
    processes = min(PROCESSES, load.callers)
    shares = [load.callers // processes + (number < load.callers % processes) for number in range(processes)]
    started = [
        subprocess.Popen(
            [sys.executable, __file__, json.dumps(asdict(load) | {"callers": share})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for share in shares
    ]
    try:
        for each in started:
            if each.stdout is None or each.stdout.readline() != "ready\n":
                raise RuntimeError(f"expected a caller of {load.model} to be ready, got its end")
        with grpcclient.InferenceServerClient(load.triton) as client:
            before, started_at = counted(client, load.model), clock()
            for each in started:
                if each.stdin is not None:
                    each.stdin.write("go\n")
                    each.stdin.flush()
            answers = [json.loads(each.communicate(timeout=load.seconds + 60)[0]) for each in started]
            seconds = clock() - started_at
            spent = {name: value - before[name] for name, value in counted(client, load.model).items()}
    finally:
        for each in started:
            each.kill()
            each.wait()
    runs = max(spent["runs"], 1)
    latencies = np.concatenate([answer["latencies"] for answer in answers])
    return {
        "rows a second": round(sum(answer["rows"] / answer["seconds"] for answer in answers), 1),
        "median ms": round(float(np.median(latencies)) * 1e3, 2),
        "p99 ms": round(float(np.quantile(latencies, 0.99)) * 1e3, 2),
        "ms a row": round(1e3 * seconds / max(spent["rows"], 1), 3),
        "rows at once": round(spent["rows"] / runs, 1),
        "queued ms": round(spent["queue"] / max(spent["requests"], 1) / 1e6, 2),
        "infer ms": round(spent["infer"] / runs / 1e6, 2),
    }


def counted(client: Any, model: str) -> dict[str, int]:
    """Triton's counters of a model: requests, rows, runs; nanoseconds in the queue and inferring.

    The time inferring is counted once for each run, so that it can be told by run.
    """
    found = client.get_inference_statistics(model).model_stats[0]
    runs, requests = found.execution_count, found.inference_stats.success.count
    # Triton adds a run's time to each request that shared it.
    batches = sum(each.compute_infer.ns for each in found.batch_stats)
    return {
        "requests": requests,
        "rows": found.inference_count,
        "runs": runs,
        "queue": found.inference_stats.queue.ns,
        "infer": batches,
    }


def call(load: Load) -> dict[str, Any]:
    """One process's callers: says `ready` when warm, waits for a line, calls until the time is over."""
    counts: list[list[float]] = [[] for _ in range(load.callers)]
    failures: list[BaseException] = []
    ready, go = threading.Barrier(load.callers + 1), threading.Event()

    def caller(number: int) -> None:
        try:
            with grpcclient.InferenceServerClient(load.triton) as client:
                asked = tensors(inputs(load.model, load.batch))
                for _ in range(3):
                    client.infer(load.model, asked)
                ready.wait()
                go.wait()
                end = time.perf_counter() + load.seconds
                while (begun := time.perf_counter()) < end:
                    client.infer(load.model, asked)
                    counts[number].append(time.perf_counter() - begun)
        except BaseException as error:
            failures.append(error)
            ready.abort()
            raise

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(load.callers)]
    for thread in threads:
        thread.start()
    ready.wait(timeout=120)
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.perf_counter()
    go.set()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    seconds = time.perf_counter() - started
    latencies = [value for each in counts for value in each]
    return {"rows": len(latencies) * load.batch, "seconds": seconds, "latencies": latencies}


if __name__ == "__main__":
    print(json.dumps(call(Load(**json.loads(sys.argv[1])))))
