"""Requests to Triton as those who use it make them: HTTP with binary tensors, as a node does, and gRPC."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc
import numpy as np
from measuring.real_node import Client
from tritonclient.grpc import service_pb2 as wire
from tritonclient.grpc import service_pb2_grpc


@dataclass(frozen=True)
class Given:
    """One input: `kind` is Triton's name of its type, `raw` its bytes as they travel."""

    name: str
    kind: str
    shape: tuple[int, ...]
    raw: bytes


def tensor(name: str, array: np.ndarray) -> Given:
    """An input of numbers, int64 or uint8."""
    return Given(name, {"int64": "INT64", "uint8": "UINT8"}[array.dtype.name], array.shape, array.tobytes())


def strings(name: str, values: Sequence[bytes]) -> Given:
    """An input of n rows with one string each."""
    packed = b"".join(struct.pack("<I", len(value)) + value for value in values)
    return Given(name, "BYTES", (len(values), 1), packed)


def http_request(inputs: Sequence[Given], outputs: Sequence[str]) -> tuple[bytes, dict[str, str]]:
    """Body and headers, by KServe's binary tensor extension."""
    said = [
        {"name": each.name, "shape": each.shape, "datatype": each.kind,
         "parameters": {"binary_data_size": len(each.raw)}}
        for each in inputs
    ]  # fmt: skip
    wanted = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
    head = json.dumps({"inputs": said, "outputs": wanted}).encode()
    headers = {
        "Inference-Header-Content-Length": str(len(head)),
        "Content-Type": "application/octet-stream",
    }
    return head + b"".join(each.raw for each in inputs), headers


def by_http(
    client: Client, model: str, inputs: Sequence[Given], outputs: Sequence[str]
) -> Callable[[], object]:
    """A call of the model, its request made again each time."""

    def call() -> object:
        return client.call("POST", f"/v2/models/{model}/infer", *http_request(inputs, outputs))

    return call


def by_grpc(
    channel: grpc.Channel, model: str, inputs: Sequence[Given], outputs: Sequence[str]
) -> Callable[[], object]:
    """A call of the model, its request made again each time."""
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)

    def call() -> object:
        request = wire.ModelInferRequest(model_name=model)
        for each in inputs:
            request.inputs.add(name=each.name, datatype=each.kind, shape=each.shape)
            request.raw_input_contents.append(each.raw)
        for name in outputs:
            request.outputs.add(name=name)
        return stub.ModelInfer(request)

    return call
