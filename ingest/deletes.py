"""Deletes by bulk, read item by item: what OpenSearch puts off is sent again, what it refuses is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from opensearchpy import OpenSearch

from .connect import HttpError, ask
from .errors import DocumentError, MismatchError
from .waiting import AwayError, Patience

TOGETHER = 5_000
_AGAIN = frozenset((429, 500, 502, 503, 504))
_CONFLICT = 409


@dataclass(slots=True)
class Deletes:
    """What became of the documents: how many are gone, how many someone has written since and so stay, and
    which ones OpenSearch refused to delete."""

    deleted: int = 0
    written_since: int = 0
    refused: list[tuple[str, DocumentError]] = field(default_factory=list)


def delete(client: OpenSearch, index: str, hits: Sequence[dict[str, Any]], patience: Patience) -> Deletes:
    """Delete these hits (`_id`, `_seq_no`, `_primary_term`) as they were read.

    Raises MismatchError when a request is refused as a whole, UnreachableError when `patience` is at its end.
    """
    found = Deletes()
    for start in range(0, len(hits), TOGETHER):
        pending = list(hits[start : start + TOGETHER])
        while pending:
            pending = patience.call(lambda pending=pending: _attempt(client, index, pending, found))  # type: ignore[misc]
    return found


def _attempt(
    client: OpenSearch, index: str, hits: list[dict[str, Any]], found: Deletes
) -> list[dict[str, Any]]:
    """One request; the hits to be sent again. Raises AwayError when OpenSearch put off all of them."""
    try:
        answer = ask(
            client,
            "POST",
            f"/{index}/_bulk",
            body=b"".join(map(_action, hits)),
            params={"filter_path": "errors,items.*.status,items.*.error.type,items.*.error.reason"},
            headers={"content-type": "application/x-ndjson"},
        )
    except HttpError as error:
        raise MismatchError(f"expected {index} to take deletes, got {error}; all else is in") from None
    if not answer.get("errors"):
        found.deleted += len(hits)
        return []
    again, conflicts, why = [], [], ""
    for hit, entry in zip(hits, answer["items"], strict=True):
        result = entry["delete"]
        status, cause = int(result["status"]), result.get("error", {})
        if status < 300 or (status == 404 and not cause):
            found.deleted += 1
        elif status == _CONFLICT:
            conflicts.append(hit)
        elif status in _AGAIN:
            again.append(hit)
            why = f"{status} {cause.get('type', '')}".strip()
        else:
            found.refused.append((hit["_id"], _refusal(status, cause)))
    _count_conflicts(client, index, conflicts, found)
    if len(again) == len(hits):
        raise AwayError("OpenSearch", f"{why} for {len(again)} deletes")
    return again


def _count_conflicts(client: OpenSearch, index: str, hits: list[dict[str, Any]], found: Deletes) -> None:
    """A conflict is a document that was written since, or one that an earlier try, whose answer was lost, has
    deleted."""
    if not hits:
        return
    body = {"ids": [hit["_id"] for hit in hits]}
    documents = ask(client, "POST", f"/{index}/_mget", body=body, params={"_source": "false"})["docs"]
    there = sum(bool(document.get("found")) for document in documents)
    found.written_since += there
    found.deleted += len(hits) - there


def _action(hit: dict[str, Any]) -> bytes:
    about = {"_id": hit["_id"], "if_seq_no": hit["_seq_no"], "if_primary_term": hit["_primary_term"]}
    return orjson.dumps({"delete": about}, option=orjson.OPT_APPEND_NEWLINE)


def _refusal(status: int, cause: dict[str, Any]) -> DocumentError:
    return DocumentError(
        str(cause.get("type") or f"http_{status}"),
        f"expected a delete that OpenSearch takes, got {status}: {cause.get('reason', '')}",
    )
