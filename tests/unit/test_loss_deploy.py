"""`models deploy` and `reindex` reach Triton with the credentials that ingest has, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2 as wire
from tritonclient.grpc import service_pb2_grpc

from mmsearch.errors import IngestError
from mmsearch.models import deploy

from ..fakes.certificates import Identity, issue


class Gateway(service_pb2_grpc.GRPCInferenceServiceServicer):
    """A Triton behind TLS; `headers` are those of each call."""

    def __init__(self, folder: Path) -> None:
        self.headers: list[dict[str, str]] = []
        authority = issue("authority", authority=True)
        self.authority = authority.write(folder, "authority")[0]
        leaf: Identity = issue("leaf", authority)
        self.server = grpc.server(ThreadPoolExecutor(2))
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self, self.server)
        shown = grpc.ssl_server_credentials([(leaf.key_pem, leaf.pem)])
        self.url = f"grpcs://127.0.0.1:{self.server.add_secure_port('127.0.0.1:0', shown)}"
        self.server.start()

    def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's name
        self.headers.append(dict(context.invocation_metadata()))
        return wire.ModelReadyResponse(ready=True)


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    made = Gateway(tmp_path)
    monkeypatch.setenv("MMSEARCH_TRITON_TOKEN", "secret")
    yield made
    made.server.stop(None).wait()


def test_loss_d15_the_token_goes_with_every_call(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMSEARCH_TRITON_CA_FILE", gateway.authority)
    with deploy._client(gateway.url) as client:
        assert client.is_model_ready("item_encoder", "1")
    assert [each.get("authorization") for each in gateway.headers] == ["Bearer secret"]


def test_loss_d15_a_server_that_does_not_verify_hears_no_token(gateway: Gateway) -> None:
    with deploy._client(gateway.url) as client, pytest.raises(deploy.InferenceServerException):
        client.is_model_ready("item_encoder", "1")
    assert gateway.headers == []


@pytest.mark.parametrize("url", ["gw:8001", "grpc://gw:8001", "http://gw:8001"])
def test_loss_d15_a_token_is_not_sent_unencrypted(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMSEARCH_TRITON_TOKEN", "secret")
    with pytest.raises(IngestError, match="expected grpcs:// where a token travels"):
        deploy.unload({"item_encoder": [1]}, url)
