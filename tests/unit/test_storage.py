"""Engines and quantisation of vector fields: the mapping of each, what is refused, what k-NN says."""

from __future__ import annotations

from typing import Any

import pytest

from mmsearch.clients.triton import Served
from mmsearch.errors import MismatchError
from mmsearch.ingest.product_index.storage import Storage
from mmsearch.ingest.product_index.target import definition

HNSW = {"name": "hnsw", "space_type": "cosinesimil"}
MAPPINGS: list[tuple[tuple[str, str, str], dict[str, Any]]] = [
    (("lucene", "", "in_memory"), {"method": HNSW | {"engine": "lucene"}}),
    (
        ("lucene", "byte", "in_memory"),
        {
            "method": HNSW
            | {"engine": "lucene", "parameters": {"encoder": {"name": "sq", "parameters": {"bits": 7}}}}
        },
    ),
    (
        ("lucene", "byte", "on_disk"),
        {"mode": "on_disk", "compression_level": "4x", "method": HNSW | {"engine": "lucene"}},
    ),
    (("faiss", "", "in_memory"), {"method": HNSW | {"engine": "faiss"}}),
    (
        ("faiss", "fp16", "in_memory"),
        {"compression_level": "2x", "method": HNSW | {"engine": "faiss"}},
    ),
    (
        ("faiss", "binary", "in_memory"),
        {
            "method": HNSW
            | {"engine": "faiss", "parameters": {"encoder": {"name": "binary", "parameters": {"bits": 1}}}}
        },
    ),
    (
        ("faiss", "fp16", "on_disk"),
        {"mode": "on_disk", "compression_level": "2x", "method": HNSW | {"engine": "faiss"}},
    ),
    (
        ("faiss", "binary", "on_disk"),
        {"mode": "on_disk", "compression_level": "32x", "method": HNSW | {"engine": "faiss"}},
    ),
]


@pytest.mark.parametrize(("asked", "mapping"), MAPPINGS, ids=["-".join(asked) for asked, _ in MAPPINGS])
def test_each_storage_has_its_mapping(asked: tuple[str, str, str], mapping: dict[str, Any]) -> None:
    field = {"type": "knn_vector", "dimension": 768} | mapping
    assert Storage(*asked).field(768) == field
    served = Served("item_encoder", "query_encoder", "1", "f" * 64, "a", {"EMBEDDING": 768}, 32, 100, 100)
    body = definition(served, ("embedding", "pictures.embedding"), storage=Storage(*asked))
    properties = body["mappings"]["properties"]
    assert properties["embedding"] == properties["pictures"]["properties"]["embedding"] == field


@pytest.mark.parametrize(
    ("engine", "encoder", "told"),
    [
        ("lucene", "fp16", "that lucene has, byte, got fp16"),
        ("lucene", "binary", "that lucene has, byte, got binary"),
        ("faiss", "byte", "that faiss has, fp16 or binary, got byte"),
    ],
)
def test_an_encoder_that_the_engine_lacks_is_refused(engine: str, encoder: str, told: str) -> None:
    with pytest.raises(MismatchError, match=told):
        Storage(engine, encoder)


def test_on_disk_without_an_encoder_is_refused() -> None:
    with pytest.raises(MismatchError, match="--knn-encoder byte"):
        Storage("lucene", "", "on_disk")
    with pytest.raises(MismatchError, match="--knn-encoder binary"):
        Storage("faiss", "", "on_disk")
