"""Encode products by Triton's gRPC API, in batches of (text, image) rows."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as wire
from tritonclient.grpc import service_pb2_grpc

from mmsearch.clients import tracing
from mmsearch.clients.credentials import TritonAccess
from mmsearch.clients.tls import channel_credentials, untrusted
from mmsearch.errors import AwayError, EncoderError, FaultError, RefusedError
from mmsearch.serving.pictures.pixels import NO_TOWER, PARAMETER, Frame, read_parameter
from mmsearch.serving.words import UNREADABLE

DEFAULT_TRITON = "127.0.0.1:8001"
Row = tuple[bytes, bytes]
Vectors = NDArray[np.float32]
FIELD_OUTPUTS = {
    "embedding": "EMBEDDING",
    "text_embedding": "TEXT_EMBEDDING",
    "image_embedding": "IMAGE_EMBEDDING",
}
_CHANNEL = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # Limits gRPC's own reconnect backoff, which grows to two minutes; our retries decide when to connect.
    ("grpc.initial_reconnect_backoff_ms", 200),
    # Despite its name, the option is the minimum timeout of one connection attempt. A slow handshake or a
    # busy machine must not count as an unreachable server.
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_AWAY = frozenset(
    (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.NOT_FOUND,  # a model that is being loaded again
        grpc.StatusCode.ABORTED,
    )
)
_UNREAD_ROWS = re.compile(rf"{UNREADABLE}: in row (?P<rows>[0-9 ]+):")
_DENIED = frozenset((grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED))


class UnreadableError(RefusedError):
    """The encoder knows no word of the texts of `rows`, the positions in the request. It takes these rows
    without their text.
    """

    def __init__(self, rows: Sequence[int]) -> None:
        super().__init__(
            UNREADABLE,
            "expected a text with words that the encoder knows, got none; add a picture or a text in its "
            "language, or serve a model of this one",
        )
        self.rows = tuple(rows)

    def __reduce__(self) -> tuple[type[UnreadableError], tuple[tuple[int, ...]]]:  # type: ignore[override]
        return type(self), (self.rows,)


@dataclass(frozen=True, slots=True)
class Served:
    """The served encoder: its fingerprint in the index, and the limits that a client must respect."""

    item_model: str
    query_model: str
    version: str
    fingerprint: str
    architecture: str
    dimensions: dict[str, int]
    max_batch: int
    max_text_bytes: int
    max_image_bytes: int
    text_part: int = 0
    """length of the text part of EMBEDDING, if it is the text's and the image's vector with equal weights;
    else 0"""
    pixels: Mapping[str, str] = field(default_factory=dict)
    """what each version's picture tower takes, as its config states it"""

    def frame(self) -> Frame | None:
        """Return size and fit of the picture tower's pixels, None for a model set without one.

        Raise EncoderError for a version that takes no pixels of this preprocessing.
        """
        stated = self.pixels.get(self.version, "")
        if stated == NO_TOWER:
            return None
        try:
            return read_parameter(stated)
        except ValueError:
            raise EncoderError(
                f"expected version {self.version} of {self.item_model} to take pixels as this mmsearch makes "
                f"them, got {stated[:40] or 'a model of an earlier one'!r}; build it again by: "
                "mmsearch models build, and the index by: mmsearch reindex"
            ) from None


class Encoder:
    """One Triton server. `url` is HOST:PORT, or grpcs://HOST:PORT for TLS, which is always verified.

    `remember` allows the towers to use their response cache: if only the text of a product changed, its image
    is not encoded again. Turn it off to measure throughput.
    """

    def __init__(
        self,
        url: str,
        *,
        item_model: str = "item_encoder",
        query_model: str = "query_encoder",
        timeout: float = 60.0,
        access: TritonAccess | None = None,
        remember: bool = True,
    ) -> None:
        self.url = url
        self._remember = remember
        self.item_model = item_model
        self.query_model = query_model
        self.timeout = timeout
        access = access or TritonAccess.from_environment()
        access.check(url)
        scheme, _, rest = url.rpartition("://")
        if scheme in ("grpcs", "https"):
            self._channel = grpc.secure_channel(rest, channel_credentials(access), _CHANNEL)
        elif scheme in ("", "grpc", "http"):
            self._channel = grpc.insecure_channel(rest, _CHANNEL)
        else:
            raise EncoderError(f"expected HOST:PORT or grpcs://HOST:PORT for Triton, got {url!r}")
        self._stub: Any = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)

    @property
    def name(self) -> str:
        return f"Triton at {self.url}"

    def close(self) -> None:
        self._channel.close()

    def describe(self) -> Served:
        """Return the description of the served encoder.

        Raise AwayError when Triton or the model is unreachable, EncoderError when the two models do not
        match.
        """
        config = self._call("ModelConfig", wire.ModelConfigRequest(name=self.item_model)).config
        query = self._call("ModelConfig", wire.ModelConfigRequest(name=self.query_model)).config
        about = self._call("ModelMetadata", wire.ModelMetadataRequest(name=self.query_model))
        parameters = {key: value.string_value for key, value in config.parameters.items()}
        fingerprint = parameters.get("fingerprint", "")
        other = query.parameters["fingerprint"].string_value
        if not fingerprint or fingerprint != other:
            raise EncoderError(
                f"expected {self.item_model} and {self.query_model} of {self.name} to carry one fingerprint, "
                f"got {fingerprint[:12] or 'none'} and {other[:12] or 'none'}; "
                "rebuild both: mmsearch models build"
            )
        # If versions differ in dimension, the config has -1 and a parameter has the dimension of the newest
        # version.
        dimensions = {
            output.name: parameters.get(f"dimension.{output.name}") or (output.dims[-1] if output.dims else 0)
            for output in config.output
            if output.data_type == 11
        }
        return Served(
            item_model=self.item_model,
            query_model=self.query_model,
            version=str(max((self._number("version", each) for each in about.versions), default=1)),
            fingerprint=fingerprint,
            architecture=parameters.get("architecture", ""),
            dimensions={name: self._number(f"dimension of {name}", of) for name, of in dimensions.items()},
            max_batch=max(1, config.max_batch_size),
            max_text_bytes=self._number("max_text_bytes", parameters.get("max_text_bytes") or 0),
            max_image_bytes=self._number("max_image_bytes", parameters.get("max_image_bytes") or 0),
            text_part=self._number("text_part", parameters.get("text_part") or 0),
            pixels={
                key.removeprefix(PARAMETER): value
                for key, value in parameters.items()
                if key.startswith(PARAMETER)
            },
        )

    def _number(self, what: str, said: str | int) -> int:
        try:
            return int(said)
        except ValueError:
            raise self._wrong(
                f"expected a whole number as {what}, got {str(said)[:40]!r}; build it again with: "
                "mmsearch models build"
            ) from None

    def pinned(self, served: Served, version: str, fingerprint: str, dimensions: Mapping[str, int]) -> Served:
        """Return the model version that an index was created for, if it is served beside the newest one;
        otherwise `served`.

        `dimensions` are those of the index's outputs, because Triton reports only the dimensions of the
        newest version.
        """
        if fingerprint == served.fingerprint:
            return served
        request = _request(served.item_model, version, [(b"which version", b"")], ["FINGERPRINT"])
        try:
            reply = self._call("ModelInfer", request)
        except (AwayError, FaultError, RefusedError):  # not there, or not able to say
            return served
        if not reply.raw_output_contents or _string(reply.raw_output_contents[0]) != fingerprint:
            return served
        known = {**served.dimensions, **dimensions}
        # The config describes the fusion of the newest version only.
        return replace(served, version=version, fingerprint=fingerprint, dimensions=known, text_part=0)

    def encode(
        self, rows: Sequence[Row], served: Served, outputs: Sequence[str], *, queries: bool = False
    ) -> list[Vectors]:
        """Return each output as a float32 array of shape (rows, dimension). Every vector is finite and of
        length one or zero. The rows are products, or queries with `queries`.

        Raise UnreadableError for texts without a known word, RefusedError (INVALID_ARGUMENT), AwayError,
        FaultError, or EncoderError when the response does not match `served`.
        """
        model = served.query_model if queries else served.item_model
        request = _request(model, served.version, rows, [*outputs, "FINGERPRINT"])
        if self._remember and not queries:
            request.parameters["remember"].bool_param = True
        reply = self._call("ModelInfer", request)
        found = {output.name: number for number, output in enumerate(reply.outputs)}
        missing = [name for name in (*outputs, "FINGERPRINT") if name not in found]
        if missing or len(reply.raw_output_contents) != len(reply.outputs):
            raise self._wrong(
                f"expected the outputs {', '.join((*outputs, 'FINGERPRINT'))}, got {list(found)}"
            )
        self._check_fingerprint(reply.raw_output_contents[found["FINGERPRINT"]], served)
        return [
            self._matrix(
                reply.raw_output_contents[found[name]], name, len(rows), served.dimensions.get(name, 0)
            )
            for name in outputs
        ]

    def _check_fingerprint(self, raw: bytes, served: Served) -> None:
        got = _string(raw)
        if got != served.fingerprint:
            raise self._wrong(
                f"expected vectors by the encoder {served.fingerprint[:12]}, got {got[:12] or 'none'}; "
                "the model changed during the run; start ingest again"
            )

    def _matrix(self, raw: bytes, name: str, rows: int, dimension: int) -> Vectors:
        if len(raw) != rows * dimension * 4:
            raise self._wrong(f"expected {rows} x {dimension} floats in {name}, got {len(raw) / 4:g}")
        vectors = np.frombuffer(raw, "<f4").reshape(rows, dimension)
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        good = (np.abs(lengths - 1) < 1e-2) | (lengths == 0)
        if not good.all():
            bad = int(np.argmin(good))
            raise self._wrong(f"expected unit vectors in {name}, got one of length {lengths[bad]:g}")
        return vectors

    def _wrong(self, what: str) -> EncoderError:
        return EncoderError(f"{self.item_model} of {self.name}: {what}")

    def _call(self, method: str, request: Any) -> Any:
        try:
            return getattr(self._stub, method)(
                request, timeout=self.timeout, metadata=tuple(tracing.headers().items())
            )
        except grpc.RpcError as error:
            code, why = error.code(), _short(error.details())
            if code is grpc.StatusCode.INVALID_ARGUMENT:
                if unread := _UNREAD_ROWS.search(error.details() or ""):
                    raise UnreadableError(list(map(int, unread["rows"].split()))) from None
                raise RefusedError(
                    "refused", f"expected an item that {self.item_model} accepts, got: {why}"
                ) from None
            if distrust := untrusted(self.name, error.details() or ""):
                raise distrust from None
            if code in _DENIED:
                raise EncoderError(
                    f"expected {self.name} to accept our credentials, got {code.name}: {why}; set "
                    "MMSEARCH_TRITON_TOKEN_FILE"
                ) from None
            if code in _AWAY:
                raise AwayError(self.name, f"{code.name}: {why}") from None
            raise FaultError(f"{code.name}: {why}") from None


def _request(model: str, version: str, rows: Sequence[Row], outputs: Sequence[str]) -> Any:
    """The version is fixed, so that a deployment during the run has no effect on it."""
    request = wire.ModelInferRequest(model_name=model, model_version=version)
    for name, column in (("TEXT", 0), ("IMAGE", 1)):
        request.inputs.add(name=name, datatype="BYTES", shape=[len(rows), 1])
        request.raw_input_contents.append(
            b"".join(struct.pack("<I", len(row[column])) + row[column] for row in rows)
        )
    for name in outputs:
        request.outputs.add(name=name)
    return request


def _string(raw: bytes) -> str:
    """Return the first string of a BYTES tensor."""
    return raw[4 : 4 + int.from_bytes(raw[:4], "little")].decode("ascii", "replace")


def _short(details: str | None) -> str:
    return " ".join((details or "no reason").split())[:200]
