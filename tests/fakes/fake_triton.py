"""A Triton at the wire: the service of tritonclient's own protobufs, with vectors that depend on the input
alone."""

from __future__ import annotations

import argparse
import hashlib
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as wire
from tritonclient.grpc import service_pb2_grpc

from mmsearch.serving.pictures.pixels import PARAMETER, Frame

FINGERPRINT = "f" * 64
FRAME = Frame(16)
"""what the picture tower takes"""
DIMENSIONS = {"EMBEDDING": 8, "TEXT_EMBEDDING": 4, "IMAGE_EMBEDDING": 4}
Row = tuple[bytes, bytes]


class RefuseError(Exception):
    """Raised by a `fault` to answer with this gRPC status."""

    def __init__(self, code: grpc.StatusCode, details: str = "told to") -> None:
        super().__init__(details)
        self.code = code
        self.details = details


def knows_no_word_of(*texts: str) -> Callable[[Sequence[Row]], None]:
    """A `fault` by which the encoder refuses rows with one of these texts, in the words of the real one."""
    unknown = [text.encode() for text in texts]

    def fault(rows: Sequence[Row]) -> None:
        unread = [str(number) for number, (text, _) in enumerate(rows) if text in unknown]
        if unread:
            raise RefuseError(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"unreadable_text: in row {' '.join(unread)}: expected a text with words that the text tower "
                "knows, got none; send a picture alone, or serve a model of that language",
            )

    return fault


class FakeTriton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Serves `item_encoder` and `query_encoder` on a free port of loopback.

    `calls` holds the rows of each request. `versions` are the fingerprints by version; the config tells the
    newest one's, and for each the `pixels` of its picture tower. `parameters` are further ones of the config.
    `fault` is called with the rows before each answer and may raise RefuseError. `seconds` is how long each
    request takes, one after the other.
    """

    def __init__(
        self,
        *,
        fault: Callable[[Sequence[Row]], None] = lambda rows: None,
        seconds: float = 0.0,
        dimensions: dict[str, int] = DIMENSIONS,
        fingerprint: str = FINGERPRINT,
        max_batch: int = 64,
        port: int = 0,
        keep: bool = True,
    ) -> None:
        self.calls: list[list[Row]] = []
        self.count = 0
        self.rows = 0
        self.fault = fault
        self.seconds = seconds
        self.dimensions = dimensions
        self.versions = {"1": fingerprint}
        self.parameters: dict[str, str] = {}
        self.pixels = FRAME.parameter()
        self.asked: list[str] = []
        self.max_batch = max_batch
        self.spoil: Callable[[dict[str, Any]], None] = lambda arrays: None
        self._keep = keep
        self._lock = threading.Lock()
        self._serial = threading.Lock()
        self._server = grpc.server(
            ThreadPoolExecutor(16),
            options=(("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)),
        )
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self.url = f"127.0.0.1:{self.port}"
        self._server.start()

    def __enter__(self) -> FakeTriton:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self._server.stop(None).wait()

    def ModelConfig(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's name
        answer = wire.ModelConfigResponse()
        config = answer.config
        config.name = request.name
        config.max_batch_size = self.max_batch
        for name, dimension in self.dimensions.items():
            config.output.add(name=name, data_type=11, dims=[dimension])
        config.output.add(name="FINGERPRINT", data_type=13, dims=[1])
        for key, value in (
            ("fingerprint", self.versions[max(self.versions, key=int)]),
            ("architecture", "fake"),
            ("max_text_bytes", "32768"),
            ("max_image_bytes", "20000000"),
            *self.parameters.items(),
            *((f"{PARAMETER}{version}", self.pixels) for version in self.versions),
        ):
            config.parameters[key].string_value = value
        return answer

    def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        return wire.ModelMetadataResponse(name=request.name, versions=list(self.versions))

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        columns = dict(
            zip(
                [part.name for part in request.inputs], map(_strings, request.raw_input_contents), strict=True
            )
        )
        rows = list(zip(columns["TEXT"], columns["IMAGE"], strict=True))
        version = request.model_version or max(self.versions, key=int)
        if version not in self.versions:
            context.abort(grpc.StatusCode.NOT_FOUND, f"version {version} is not found")
        self.asked.append(version)
        if [output.name for output in request.outputs] == ["FINGERPRINT"]:
            return _stamped(request.model_name, version, self.versions[version])
        with self._lock:
            self.count += 1
            self.rows += len(rows)
            if self._keep:
                self.calls.append(rows)
        try:
            self.fault(rows)
        except RefuseError as refusal:
            context.abort(refusal.code, refusal.details)
        if self.seconds:
            with self._serial:
                time.sleep(self.seconds)
        arrays: dict[str, Any] = {
            name: np.stack([vector(row, dimension) for row in rows])
            for name, dimension in self.dimensions.items()
        }
        arrays["FINGERPRINT"] = [self.versions[version].encode()] * len(rows)
        self.spoil(arrays)
        answer = wire.ModelInferResponse(model_name=request.model_name, model_version=version)
        for wanted in request.outputs:
            found = arrays[wanted.name]
            if wanted.name == "FINGERPRINT":
                answer.outputs.add(name=wanted.name, datatype="BYTES", shape=[len(found), 1])
                raw = b"".join(len(part).to_bytes(4, "little") + part for part in found)
            else:
                answer.outputs.add(name=wanted.name, datatype="FP32", shape=found.shape)
                raw = found.astype("<f4").tobytes()
            answer.raw_output_contents.append(raw)
        return answer


def _stamped(model: str, version: str, fingerprint: str) -> Any:
    """The answer to a question for the fingerprint alone, which encodes nothing."""
    answer = wire.ModelInferResponse(model_name=model, model_version=version)
    answer.outputs.add(name="FINGERPRINT", datatype="BYTES", shape=[1, 1])
    answer.raw_output_contents.append(len(fingerprint).to_bytes(4, "little") + fingerprint.encode())
    return answer


def vector(row: Row, dimension: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The unit vector of a (text, picture) row: the same row, the same vector, whoever asks."""
    raw = hashlib.shake_128(row[0] + b"\0" + row[1]).digest(dimension)
    found = np.frombuffer(raw, np.int8).astype(np.float32) + np.float32(0.5)
    return found / np.float32(np.linalg.norm(found))


def _strings(raw: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(raw):
        length = int.from_bytes(raw[at : at + 4], "little")
        found.append(raw[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def main() -> None:
    """As a program: serve until stdin ends; `--port`, `--seconds` a request, `--dimension` of EMBEDDING."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--log", help="file that gets the number of rows of each request, a line each")
    chosen = parser.parse_args()
    log = Path(chosen.log).open("a", buffering=1) if chosen.log else None  # noqa: SIM115 - open to the end
    with FakeTriton(
        port=chosen.port,
        seconds=chosen.seconds,
        dimensions={"EMBEDDING": chosen.dimension},
        keep=False,
        fault=lambda rows: print(len(rows), file=log) if log else None,
    ) as server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
