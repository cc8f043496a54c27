"""What Triton says of its models, where it makes no sense."""

from __future__ import annotations

from typing import Any

import pytest
from tritonclient.grpc import service_pb2 as wire

from mmsearch.clients.triton import Encoder
from mmsearch.errors import EncoderError


class Said(Encoder):
    """An encoder whose server says the given parameters and versions."""

    def __init__(self, versions: list[str], **parameters: str) -> None:
        super().__init__("127.0.0.1:1")
        self.versions = versions
        self.parameters = {"fingerprint": "f" * 8, **parameters}

    def _call(self, method: str, request: Any) -> Any:
        if method == "ModelMetadata":
            return wire.ModelMetadataResponse(versions=self.versions)
        answer = wire.ModelConfigResponse()
        answer.config.output.add(name="EMBEDDING", data_type=11, dims=[-1])
        for name, value in self.parameters.items():
            answer.config.parameters[name].string_value = value
        return answer


def test_numbers_that_are_words_are_refused_by_name() -> None:
    with pytest.raises(EncoderError, match="expected a whole number as max_text_bytes, got '1s0'"):
        Said(["1"], max_text_bytes="1s0").describe()
    with pytest.raises(EncoderError, match="expected a whole number as version, got 'x'"):
        Said(["1", "x"]).describe()


def test_the_newest_version_and_the_width_of_a_parameter() -> None:
    served = Said(["9", "10"], **{"dimension.EMBEDDING": "3"}).describe()
    assert (served.version, served.dimensions) == ("10", {"EMBEDDING": 3})
