"""The neural clause against what it is made of: a bare call of the encoder, and raw knn with the same vector.

    .venv/bin/python bench/neural.py [--opensearch URL] [--documents 20000]

The encoder is a stub that answers at once with vectors it has prepared, so that the figures are the plugin's
own. Without --opensearch a node is started from the checkout's plugin zip, and ended after.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import random
import socket
import statistics
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from interleaved import measure
from real_node import Client, median_ms, node

DIMENSION = 384
INDEX = "bench-neural"
FINGERPRINT = "bench"
K = 100
PREPARED = 64


def vector_of(text: str) -> np.ndarray:
    """The stub's vector for a text: one of PREPARED unit vectors, float32 [DIMENSION]."""
    slot = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little") % PREPARED
    vector = np.random.default_rng(slot).standard_normal(DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


def answers() -> dict[int, bytes]:
    """The stub's whole HTTP answers, by slot."""
    prepared = {}
    for number in range(10_000):
        text = f"query {number}"
        slot = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little") % PREPARED
        if slot in prepared:
            continue
        data = vector_of(text).astype("<f4").tobytes()
        name = FINGERPRINT.encode()
        tail = struct.pack("<I", len(name)) + name
        outputs = [
            output("EMBEDDING", "FP32", [1, DIMENSION], len(data)),
            output("FINGERPRINT", "BYTES", [1, 1], len(tail)),
        ]
        head = json.dumps({"model_name": "query_encoder", "outputs": outputs}).encode()
        body = head + data + tail
        prepared[slot] = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
            + f"Inference-Header-Content-Length: {len(head)}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        if len(prepared) == PREPARED:
            break
    return prepared


def output(name: str, datatype: str, shape: list[int], size: int) -> dict[str, object]:
    """An output's entry in the answer's header."""
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}


def serve(ready: multiprocessing.Queue[int]) -> None:
    """The stub: HTTP/1.1 on a free loopback port, a thread a connection."""
    prepared = answers()
    server = socket.create_server(("127.0.0.1", 0), backlog=512)
    ready.put(server.getsockname()[1])
    while True:
        connection, _ = server.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=converse, args=(connection, prepared), daemon=True).start()


def converse(connection: socket.socket, prepared: dict[int, bytes]) -> None:
    """Answer one connection's calls until it closes."""
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            part = connection.recv(65536)
            if not part:
                return
            buffer += part
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(headers[b"content-length"])
        while len(buffer) < length:
            buffer += connection.recv(65536)
        body, buffer = buffer[:length], buffer[length:]
        at = int(headers[b"inference-header-content-length"])
        size = struct.unpack_from("<I", body, at)[0]
        text = body[at + 4 : at + 4 + size]
        slot = int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "little") % PREPARED
        connection.sendall(prepared[slot])


@contextmanager
def stub() -> Iterator[int]:
    """The stub in a process of its own; its port."""
    ready: multiprocessing.Queue[int] = multiprocessing.Queue()
    process = multiprocessing.Process(target=serve, args=(ready,), daemon=True)
    process.start()
    try:
        yield ready.get(timeout=30)
    finally:
        process.terminate()
        process.join()


def build(client: Client, documents: int) -> None:
    """The index: random unit vectors, one shard, one segment."""
    client.connection.request("DELETE", f"/{INDEX}")
    client.connection.getresponse().read()
    field = {
        "type": "knn_vector",
        "dimension": DIMENSION,
        "space_type": "cosinesimil",
        "method": {"name": "hnsw", "engine": "lucene"},
    }
    encoder = {
        "model": "query_encoder",
        "model_version": "1",
        "output": "EMBEDDING",
        "fingerprint": FINGERPRINT,
    }
    mapping = {
        "settings": {
            "index": {"knn": True, "number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": -1}
        },
        "mappings": {
            "_meta": {"mmsearch": {"version": 1, "fields": {"embedding": encoder}}},
            "properties": {"title": {"type": "text"}, "embedding": field},
        },
    }
    client.call("PUT", f"/{INDEX}", json.dumps(mapping).encode())
    generator = np.random.default_rng(1)
    for start in range(0, documents, 500):
        rows = generator.standard_normal((min(500, documents - start), DIMENSION)).astype(np.float32)
        lines = []
        for number, row in enumerate(rows, start):
            document = {"title": f"product {number}", "embedding": [round(float(x), 5) for x in row]}
            lines += [json.dumps({"index": {"_id": str(number)}}), json.dumps(document)]
        client.call("POST", f"/{INDEX}/_bulk", ("\n".join(lines) + "\n").encode())
    client.call("POST", f"/{INDEX}/_forcemerge?max_num_segments=1")
    client.call("POST", f"/{INDEX}/_refresh")


def search_body(query: dict[str, object]) -> bytes:
    """Ten hits with their title, as a shop asks."""
    return json.dumps({"size": 10, "_source": ["title"], "query": query}).encode()


def infer(text: str) -> tuple[bytes, dict[str, str]]:
    """The plugin's own request to the encoder: body and headers."""
    data = text.encode()
    inputs = [
        {"name": name, "shape": [1, 1], "datatype": "BYTES", "parameters": {"binary_data_size": 4 + size}}
        for name, size in (("TEXT", len(data)), ("IMAGE", 0))
    ]
    wanted = [{"name": name, "parameters": {"binary_data": True}} for name in ("EMBEDDING", "FINGERPRINT")]
    head = json.dumps({"inputs": inputs, "outputs": wanted}).encode()
    body = head + struct.pack("<I", len(data)) + data + struct.pack("<I", 0)
    length = {"Inference-Header-Content-Length": str(len(head))}
    return body, {**length, "Content-Type": "application/octet-stream"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--opensearch", help="a node with the plugin; else one is started")
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--queries", type=int, default=150, help="per arm and round")
    parser.add_argument("--warm", type=int, default=5000, help="queries before the first round")
    asked = parser.parse_args()
    with node(asked.opensearch) as url, stub() as port:
        triton = f"http://127.0.0.1:{port}"
        client, encoder = Client(url), Client(triton)
        settings = {"transient": {"mmsearch.triton.endpoints": [triton]}}
        client.call("PUT", "/_cluster/settings", json.dumps(settings).encode())
        build(client, asked.documents)
        path = f"/{INDEX}/_search"
        fresh = iter(range(10**9))
        draw = random.Random(7)

        def texts() -> list[str]:
            return [f"query {next(fresh)}" for _ in range(asked.queries)]

        def knn() -> float:
            bodies = [search_body(raw(text)) for text in texts()]
            return median_ms([lambda b=b: client.call("POST", path, b) for b in bodies])

        def raw(text: str) -> dict[str, object]:
            return {"knn": {"embedding": {"vector": vector_of(text).tolist(), "k": K}}}

        def neural_of(chosen: list[str]) -> float:
            bodies = [search_body({"neural": {"embedding": {"query_text": text, "k": K}}}) for text in chosen]
            return median_ms([lambda b=b: client.call("POST", path, b) for b in bodies])

        def bare() -> float:
            requests = [infer(text) for text in texts()]
            target = "/v2/models/query_encoder/versions/1/infer"
            return median_ms([lambda r=r: encoder.call("POST", target, r[0], r[1]) for r in requests])

        remembered = [f"remembered {i}" for i in range(PREPARED)]
        # The node's compiler needs thousands of calls before its HTTP client is as fast as it gets.
        neural_of([f"warm {i}" for i in range(asked.warm)])
        knn()
        neural_of(remembered)
        table = measure(
            "neural",
            {
                "knn": knn,
                "neural": lambda: neural_of(texts()),
                "remembered": lambda: neural_of([draw.choice(remembered) for _ in range(asked.queries)]),
                "bare encoder": bare,
            },
            rounds=asked.rounds,
            unit="ms",
            warm_up=3,
        )
        rounds = zip(*(table.figures[arm] for arm in ("neural", "knn", "bare encoder")), strict=True)
        over = statistics.median(neural - knn - bare for neural, knn, bare in rounds)
        table.figure("neural - knn - bare encoder, ms", over, {"<=": 0.5})
        table.target("remembered", "knn", at_most=1.05)
        table.note("The encoder is a stub at the wire; knn carries the same vectors as JSON.")
        return 0 if table.finish() else 1


if __name__ == "__main__":
    sys.exit(main())
