"""What mmsearch writes into the `_meta.mmsearch` of an index that is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import ask


def own_meta(client: OpenSearch, index: str) -> dict[str, Any]:
    """Return `_meta.mmsearch`. Raise HttpError or AwayError."""
    ours: dict[str, Any] = _meta(client, index)["mmsearch"]
    return ours


def write(client: OpenSearch, index: str, key: str, value: Mapping[str, Any]) -> None:
    """Set one key of `_meta.mmsearch`; the rest of `_meta`, which is read right before, stays. Raise
    HttpError or AwayError.
    """
    meta = _meta(client, index)
    changed = {**meta, "mmsearch": {**meta["mmsearch"], key: value}}
    ask(client, "PUT", f"/{index}/_mapping", body={"_meta": changed})


def _meta(client: OpenSearch, index: str) -> dict[str, Any]:
    meta: dict[str, Any] = ask(client, "GET", f"/{index}/_mapping")[index]["mappings"]["_meta"]
    return meta
