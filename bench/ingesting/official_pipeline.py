"""The official way to index texts with pictures: the ingest processor `text_image_embedding` of
neural-search, which asks a remote ML Commons model for one product at a time.

Run as a program it is the model's server: HTTP and JSON on one side, as connectors speak, and the entry model
`item_encoder` of the same Triton that mmsearch uses on the other.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from measuring.stub_encoder import connector
from opensearchpy import OpenSearch, helpers

from mmsearch.clients.opensearch import ask
from mmsearch.clients.triton import Encoder, Served
from mmsearch.stack.variants import official

INDEX = "bench-official"
PIPELINE = "bench-official"
TEXT, PICTURE = "text", "picture"
"""fields of a document that the pipeline reads; it removes them when it has the vector"""
TOGETHER, THREADS = 32, 2
"""documents of a bulk request, and requests at once"""
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from ingesting.official_pipeline import serve
serve(sys.argv[2])
"""


class Embed(BaseHTTPRequestHandler):
    """Answers `{"input": [text, picture in base64]}` by a list of one vector."""

    protocol_version = "HTTP/1.1"
    encoder: ClassVar[Encoder]
    served: ClassVar[Served]

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text, picture = asked["input"]
        row = (text.encode(), base64.b64decode(picture))
        (vectors,) = self.encoder.encode([row], self.served, ["EMBEDDING"])
        body = json.dumps(vectors.tolist()).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(triton: str) -> None:
    """Print the address, and answer until stdin ends."""
    Embed.encoder = Encoder(triton, remember=False)
    Embed.served = Embed.encoder.describe()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Embed)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(server.serve_forever)
        sys.stdin.read()
        server.shutdown()


@contextmanager
def serving(triton: str) -> Iterator[tuple[str, int]]:
    """The model's server as a process of its own: its address and process id."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(Path(__file__).parents[1]), triton],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("expected pipes of the model's server")
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.communicate()


class Pipeline:
    """The official pipeline in a node, and a client that writes through it."""

    def __init__(self, client: OpenSearch, url: str, model_url: str, dimension: int) -> None:
        self._client = client
        self._dimension = dimension
        self._model = official.remote_model(url, connector(model_url))
        embed = {
            "model_id": self._model,
            "embedding": "embedding",
            "field_map": {"text": TEXT, "image": PICTURE},
        }
        steps = [{"text_image_embedding": embed}, {"remove": {"field": [TEXT, PICTURE]}}]
        ask(client, "PUT", f"/_ingest/pipeline/{PIPELINE}", body={"processors": steps})

    def create(self) -> None:
        """An empty index, as the pipeline's documentation has it."""
        ask(self._client, "DELETE", f"/{INDEX}", params={"ignore_unavailable": "true"})
        vector = {
            "type": "knn_vector",
            "dimension": self._dimension,
            "method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"},
        }
        properties = {"title": {"type": "text"}, "description": {"type": "text"}, "embedding": vector}
        settings = {"index.knn": True, "number_of_replicas": 0, "default_pipeline": PIPELINE}
        ask(
            self._client,
            "PUT",
            f"/{INDEX}",
            body={"settings": settings, "mappings": {"properties": properties}},
        )

    def write(self, catalog: Path, count: int) -> None:
        """Write the first products of a catalog; raises RuntimeError where one has no vector."""
        with catalog.open(encoding="utf-8") as lines:
            products = [json.loads(line) for line, _ in zip(lines, range(count), strict=False)]
        groups = [products[at : at + TOGETHER] for at in range(0, len(products), TOGETHER)]

        def one(group: list[dict[str, Any]]) -> None:
            helpers.bulk(self._client, (document(each, catalog.parent) for each in group))

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(one, groups))
        ask(self._client, "POST", f"/{INDEX}/_refresh")
        found = ask(
            self._client, "GET", f"/{INDEX}/_count", body={"query": {"exists": {"field": "embedding"}}}
        )
        if found["count"] != count:
            raise RuntimeError(f"expected {count} products with a vector, got {found['count']}")


def document(product: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """A bulk action with what the pipeline reads."""
    words = " ".join(str(product.get(name, "")) for name in ("title", "category", "description"))
    picture = base64.b64encode((root / product["image"]).read_bytes()).decode()
    return {"_index": INDEX, "_id": product["id"], **product, TEXT: words, PICTURE: picture}
