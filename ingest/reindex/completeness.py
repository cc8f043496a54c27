"""Check that a new index has what the old one has: products, images, and no product lost to a reject."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import ask, documents
from mmsearch.errors import NotMovedError

TOGETHER = 1_000
_PICTURED = {"term": {"ingest.modalities": "image"}}


def require_complete(
    client: OpenSearch, old: str, new: str, rejects: Path, *, max_rejects: int, allow_fewer: int
) -> None:
    """Raise NotMovedError when the new index has lost more than allowed.

    `max_rejects` products of the old index may be rejected, as listed in `rejects`. In addition `allow_fewer`
    products may be missing, and as many may have lost their image. HttpError and AwayError are not caught.
    """
    for index in (old, new):
        ask(client, "POST", f"/{index}/_refresh")
    lost = lost_to_rejects(client, old, new, rejects)
    if len(lost) > max_rejects:
        named = ", ".join(repr(each) for each in lost[:3]) + (", …" if len(lost) > 3 else "")
        raise NotMovedError(
            f"expected at most {max_rejects} products of {old} to be rejected, got {len(lost)} ({named}); "
            f"see {rejects}, fix them there or in the catalog, or raise --max-rejects"
        )
    for what, query in (("products", None), ("products with a picture", _PICTURED)):
        before, after = (count(client, index, query) for index in (old, new))
        if before - after > len(lost) + allow_fewer:
            raise NotMovedError(
                f"expected {new} to have the {before} {what} of {old}, got {after}; if the catalog has "
                f"shrunk, use --allow-fewer {before - after - len(lost)}"
            )


def count(client: OpenSearch, index: str, query: dict[str, Any] | None = None) -> int:
    """Return the number of documents over all shards. Raise NotMovedError when a shard does not respond."""
    body = {"query": query} if query else None
    answer = ask(client, "POST", f"/{index}/_count", body=body)
    if failed := answer["_shards"]["failed"]:
        raise NotMovedError(
            f"expected every shard of {index} to count its documents, got {failed} failed shards; fix the "
            "index and run it again"
        )
    return int(answer["count"])


def lost_to_rejects(client: OpenSearch, old: str, new: str, rejects: Path) -> list[str]:
    """Return ids that were rejected, that the old index has, and that the new one lacks.

    A line that repeats an id is rejected too, although its product is in the index.
    """
    lost = []
    for ids in _batches(rejects):
        before, after = (_there(client, index, ids) for index in (old, new))
        lost += [each for each in ids if each in before and each not in after]
    return lost


def _batches(rejects: Path) -> Iterator[list[str]]:
    """Yield the ids of a rejects file in batches, each id once per batch."""
    if not rejects.exists():
        return
    with rejects.open("rb") as lines:
        named = (each for line in lines if (each := json.loads(line).get("id")))
        while batch := list(islice(named, TOGETHER)):
            yield list(dict.fromkeys(batch))


def _there(client: OpenSearch, index: str, ids: list[str]) -> set[str]:
    found = documents(client, index, ids, {"_source": "false"})
    return {document["_id"] for document in found if document.get("found")}
