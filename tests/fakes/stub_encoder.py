"""A query encoder at the wire: KServe v2 over HTTP with binary tensors, a text's vector by its letters."""

from __future__ import annotations

import json
import math
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

FINGERPRINT = "f1"
MODEL = "query_encoder"


def vector_of(letters: int) -> list[float]:
    """The unit vector [2] of a text of so many letters: a tenth of a radian for each."""
    return [math.cos(letters / 10), math.sin(letters / 10)]


class StubEncoder:
    """Answers every infer call; a picture counts as a text of as many letters as it has bytes.

    A call is answered after `delay` seconds, and not before `answering` is set; `waiting` are those that came
    and are not answered yet.
    """

    def __init__(self) -> None:
        self.delay = 0.0
        self.answering = threading.Event()
        self.answering.set()
        self.waiting = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"encoder": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> StubEncoder:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.answering.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def hold(self) -> None:
        """Until a call may be answered."""
        with self._lock:
            self.waiting += 1
        self.answering.wait()
        time.sleep(self.delay)
        with self._lock:
            self.waiting -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go away, as they may."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    encoder: StubEncoder
    protocol_version = "HTTP/1.1"
    # Head and body are two writes: the second would wait until the first one is acknowledged.
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        header = int(self.headers["Inference-Header-Content-Length"])
        asked = json.loads(body[:header])
        (text,) = struct.unpack_from("<I", body, header)
        (image,) = struct.unpack_from("<I", body, header + 4 + text)
        vector = struct.pack("<2f", *vector_of(text or image))
        fingerprint = struct.pack("<I", len(FINGERPRINT)) + FINGERPRINT.encode()
        outputs = [
            _output(asked["outputs"][0]["name"], "FP32", [1, 2], len(vector)),
            _output("FINGERPRINT", "BYTES", [1, 1], len(fingerprint)),
        ]
        said = {"model_name": MODEL, "model_version": "1", "outputs": outputs}
        head = json.dumps(said, separators=(",", ":")).encode()
        answer = head + vector + fingerprint
        self.encoder.hold()
        self.send_response(200)
        self.send_header("Inference-Header-Content-Length", str(len(head)))
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Tests are quiet."""


def _output(name: str, kind: str, shape: list[int], size: int) -> dict[str, object]:
    return {"name": name, "datatype": kind, "shape": shape, "parameters": {"binary_data_size": size}}
