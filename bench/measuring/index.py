"""Indices of benches: made, filled by bulk requests, and merged to one segment a shard."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

import orjson
from measuring.real_node import Client

Document = tuple[str | None, Mapping[str, object]]
"""an id, or None for one that the node gives; and the source, whose vectors may be numpy arrays"""


def vector(dimension: int, **graph: int) -> dict[str, object]:
    """A field of unit vectors by Lucene's HNSW; `graph` are its parameters."""
    method = {"name": "hnsw", "engine": "lucene", "parameters": graph}
    return {"type": "knn_vector", "dimension": dimension, "space_type": "cosinesimil", "method": method}


def create(client: Client, index: str, mappings: Mapping[str, object], **settings: object) -> None:
    """An empty index of one shard without replicas, unless `settings` say more, in place of what is there."""
    usual = {"knn": True, "number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": -1}
    client.call("DELETE", f"/{index}?ignore_unavailable=true")
    body = {"settings": {"index": {**usual, **settings}}, "mappings": mappings}
    client.call("PUT", f"/{index}", json.dumps(body).encode())


def bulks(documents: Iterable[Document], size: int = 500) -> Iterator[bytes]:
    """The bodies of bulk requests."""
    lines = bytearray()
    for number, (key, source) in enumerate(documents, 1):
        lines += orjson.dumps({"index": {} if key is None else {"_id": key}}) + b"\n"
        lines += orjson.dumps(source, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n"
        if number % size == 0:
            yield bytes(lines)
            lines.clear()
    if lines:
        yield bytes(lines)


def post(client: Client, index: str, body: bytes) -> None:
    """Send one bulk; raises RuntimeError where a document is not taken."""
    if json.loads(client.call("POST", f"/{index}/_bulk?filter_path=errors", body))["errors"]:
        raise RuntimeError(f"expected every document to be taken into {index}")


def fill(
    client: Client, index: str, documents: Iterable[Document], *, size: int = 500, merge: bool = True
) -> None:
    """Index the documents and make them searchable, in one segment a shard or in those that came of it."""
    for body in bulks(documents, size):
        post(client, index, body)
    settle(client, index, merge=merge)


def settle(client: Client, index: str, *, merge: bool = True) -> None:
    """Merge to one segment a shard, and refresh."""
    if merge:
        client.call("POST", f"/{index}/_forcemerge?max_num_segments=1")
    client.call("POST", f"/{index}/_refresh")
