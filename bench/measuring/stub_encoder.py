"""An encoder at the wire, in a process of its own: prepared vectors, and misbehaviour on request."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import re
import signal
import socket
import struct
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType

import numpy as np
from measuring.carriers import http_request, strings

DIMENSION = 384
FINGERPRINT = "bench"
PREPARED = 64
GARBAGE = b"\x00\xffno such protocol\r\n\r\n"
MODES = ("vectors", "garbage", "nan", "wrong dimension", "other fingerprint")
Work = AbstractContextManager[object]
FORK = multiprocessing.get_context("fork")


def slot_of(text: bytes) -> int:
    """Which of the PREPARED vectors a text gets."""
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "little") % PREPARED


def vector_of(text: str) -> np.ndarray:
    """The stub's vector for a text: one of PREPARED unit vectors, float32 [DIMENSION]."""
    return vector(slot_of(text.encode()))


def vector(slot: int) -> np.ndarray:
    """Unit vector number `slot`, float32 [DIMENSION]."""
    drawn = np.random.default_rng(slot).standard_normal(DIMENSION).astype(np.float32)
    return drawn / np.linalg.norm(drawn)


def connector(url: str) -> dict[str, object]:
    """An ML Commons connector to a stub, which the official clause calls as ours calls it by its own way."""
    predict = {
        "action_type": "predict",
        "method": "POST",
        "url": f"{url}/embed",
        "headers": {"Content-Type": "application/json"},
        "request_body": '{"input": ${parameters.input}}',
        "pre_process_function": "connector.pre_process.openai.embedding",
        "post_process_function": "connector.post_process.default.embedding",
    }
    return {
        "name": "bench",
        "description": "the bench's encoder",
        "version": 1,
        "protocol": "http",
        # A connector without any is refused.
        "credential": {"none": "none"},
        "actions": [predict],
    }


def infer(text: str) -> tuple[bytes, dict[str, str]]:
    """The plugin's own request to an encoder: body and headers."""
    inputs = [strings("TEXT", [text.encode()]), strings("IMAGE", [b""])]
    return http_request(inputs, ("EMBEDDING", "FINGERPRINT"))


def answer(values: np.ndarray, fingerprint: str = FINGERPRINT) -> bytes:
    """A whole HTTP answer as Triton writes it: head, JSON, vector, fingerprint."""
    data = values.astype("<f4").tobytes()
    name = fingerprint.encode()
    tail = struct.pack("<I", len(name)) + name
    outputs = [
        output("EMBEDDING", "FP32", [1, len(values)], len(data)),
        output("FINGERPRINT", "BYTES", [1, 1], len(tail)),
    ]
    head = json.dumps({"model_name": "query_encoder", "outputs": outputs}).encode()
    return http(head + data + tail, f"Inference-Header-Content-Length: {len(head)}\r\n")


def output(name: str, datatype: str, shape: list[int], size: int) -> dict[str, object]:
    """An output's entry in the answer's header."""
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}


def http(body: bytes, headers: str = "") -> bytes:
    """An answer with status 200."""
    return f"HTTP/1.1 200 OK\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


class StubEncoder:
    """The server; `calls` counts what it was asked, `mode` and `delay` say how it answers from now on.

    `slots` bounds how many calls it works on at once, each for `delay` seconds: it can do slots / delay.
    """

    def __init__(self, slots: int | None = None) -> None:
        self._slots = slots
        self._calls = FORK.Value("q", 0)
        self._mode = FORK.Value("i", 0)
        self._delay = FORK.Value("d", 0.0)
        self.port = 0
        self._process: multiprocessing.process.BaseProcess | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def calls(self) -> int:
        return int(self._calls.value)

    def behave(self, mode: str = "vectors", delay: float = 0.0) -> None:
        """From now on every call is answered so, after `delay` seconds."""
        self._mode.value = MODES.index(mode)
        self._delay.value = delay

    def start(self) -> None:
        """Begin to serve; where it has been before, on the same port."""
        ready: multiprocessing.Queue[int] = FORK.Queue()
        self._process = FORK.Process(target=self._serve, args=(ready,), daemon=True)
        self._process.start()
        self.port = ready.get(timeout=30)

    def kill(self) -> None:
        """SIGKILL: connections end at once."""
        assert self._process is not None
        self._process.kill()
        self._process.join()

    def stop(self) -> None:
        """SIGSTOP: connections stay and nothing answers."""
        os.kill(self._pid(), signal.SIGSTOP)

    def go_on(self) -> None:
        """The end of `stop`."""
        os.kill(self._pid(), signal.SIGCONT)

    def __enter__(self) -> StubEncoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _pid(self) -> int:
        assert self._process is not None
        pid = self._process.pid
        assert pid is not None
        return pid

    def _serve(self, ready: multiprocessing.Queue[int]) -> None:
        prepared = {
            "vectors": [answer(vector(slot)) for slot in range(PREPARED)],
            "garbage": [GARBAGE] * PREPARED,
            "nan": [answer(np.full(DIMENSION, np.nan, np.float32))] * PREPARED,
            "wrong dimension": [answer(vector(0)[:-1])] * PREPARED,
            "other fingerprint": [answer(vector(0), "another")] * PREPARED,
            "ml-commons": [http(json.dumps([vector(slot).tolist()]).encode()) for slot in range(PREPARED)],
            "json": [http(json.dumps(vector(slot).tolist()).encode()) for slot in range(PREPARED)],
        }
        work: AbstractContextManager[object] = (
            threading.Semaphore(self._slots) if self._slots else nullcontext()
        )
        server = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        ready.put(server.getsockname()[1])
        while True:
            connection, _ = server.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._converse, args=(connection, prepared, work), daemon=True).start()

    def _converse(
        self,
        connection: socket.socket,
        prepared: dict[str, list[bytes]],
        work: AbstractContextManager[object],
    ) -> None:
        """Answer one connection's calls until it closes."""
        buffer = b""
        try:
            while True:
                while b"\r\n\r\n" not in buffer:
                    part = connection.recv(65536)
                    if not part:
                        return
                    buffer += part
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                length = int(number(b"content-length", head) or 0)
                while len(buffer) < length:
                    part = connection.recv(65536)
                    if not part:
                        return
                    buffer += part
                body, buffer = buffer[:length], buffer[length:]
                with self._calls.get_lock():
                    self._calls.value += 1
                with work:
                    if self._delay.value > 0:
                        time.sleep(self._delay.value)
                connection.sendall(self._said(head, body, prepared))
        except OSError:
            return  # the client went away, as it may

    def _said(self, head: bytes, body: bytes, prepared: dict[str, list[bytes]]) -> bytes:
        binary = number(b"inference-header-content-length", head)
        if binary is None:
            asked = json.loads(body)
            if "input" in asked:  # by ML Commons, which sends one text at a time for a search
                (text,) = asked["input"]
                return prepared["ml-commons"][slot_of(text.encode())]
            return prepared["json"][slot_of(asked["text"].encode())]
        size = struct.unpack_from("<I", body, binary)[0]
        text = body[binary + 4 : binary + 4 + size]
        return prepared[MODES[self._mode.value]][slot_of(text)]


def number(name: bytes, head: bytes) -> int | None:
    """A header's number, or None."""
    found = re.search(rb"\r\n" + name + rb":\s*(\d+)", head, re.IGNORECASE)
    return int(found.group(1)) if found else None
