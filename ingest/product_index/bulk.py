"""Builds bulk requests from documents and reads the response item by item."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from opensearchpy import OpenSearch

from mmsearch.clients import tracing
from mmsearch.clients.causes import Verdict, described, repair, verdict
from mmsearch.clients.opensearch import HttpError, ask
from mmsearch.errors import AwayError, BlockedError, DocumentError
from mmsearch.ingest.item import Item
from mmsearch.ingest.product_index.foreign_fields import Stored, merged
from mmsearch.ingest.product_index.scripts import REPLACE
from mmsearch.ingest.product_index.target import Target

BULK_BYTES = 8 << 20
TRIES = 5
"""times that a document is sent which fails alone, with an error that may be chance"""
_LINE = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE


@dataclass(frozen=True, slots=True)
class Bulk:
    """Items and the body of their bulk request; `ends` is the byte offset of the end of each item's lines."""

    items: Sequence[Item]
    body: bytes
    ends: Sequence[int]

    def halves(self) -> tuple[Bulk, Bulk]:
        """Return the two halves of at least two items."""
        middle = len(self.items) // 2
        at = self.ends[middle - 1]
        return (
            Bulk(self.items[:middle], self.body[:at], self.ends[:middle]),
            Bulk(self.items[middle:], self.body[at:], [end - at for end in self.ends[middle:]]),
        )


@dataclass(slots=True)
class Outcome:
    """The results of one bulk request.

    `done` are indexed, `same` of them were unchanged; `deleted` are deleted, `missing` were not in the index;
    `dropped` were dropped by an ingest pipeline. `again` have to be sent again, with the reason `why`.
    """

    done: list[Item] = field(default_factory=list)
    again: list[Item] = field(default_factory=list)
    dropped: list[Item] = field(default_factory=list)
    deleted: list[Item] = field(default_factory=list)
    missing: list[Item] = field(default_factory=list)
    refused: list[tuple[Item, DocumentError]] = field(default_factory=list)
    same: int = 0
    overloaded: bool = False
    why: str = ""

    @property
    def ended(self) -> list[Item]:
        """Return the items that are finished."""
        return [
            *self.done,
            *self.dropped,
            *self.deleted,
            *self.missing,
            *(item for item, _ in self.refused),
        ]

    def add(self, other: Outcome) -> None:
        self.done += other.done
        self.again += other.again
        self.dropped += other.dropped
        self.deleted += other.deleted
        self.missing += other.missing
        self.refused += other.refused
        self.same += other.same
        self.overloaded = self.overloaded or other.overloaded
        self.why = self.why or other.why


def action(item: Item, stored: Stored | None = None) -> bytes:
    """Return the lines of one item: the whole document if it has vectors, else an update that keeps the old
    ones.

    `stored` is the indexed document; the whole document then keeps the fields of other writers.
    """
    if item.change:
        return item.change
    identifier = orjson.dumps(item.product.id)
    if stored is not None:
        body = merged(_whole_document(item), stored, new_vectors=bool(item.vectors))
        # Only if the document has not changed since its other fields were read.
        return b'{"index":{"_id":%b,"if_seq_no":%d,"if_primary_term":%d}}\n%b' % (
            identifier,
            stored.seq_no,
            stored.primary_term,
            orjson.dumps(body, option=_LINE),
        )
    if item.vectors:
        return b'{"index":{"_id":%b}}\n%b' % (identifier, orjson.dumps(_whole_document(item), option=_LINE))
    script = {"lang": "painless", "source": REPLACE, "params": {"source": item.document()}}
    head = b'{"update":{"_id":%b,"retry_on_conflict":3}}\n' % identifier
    return head + orjson.dumps({"script": script}, option=_LINE)


def _whole_document(item: Item) -> dict[str, Any]:
    body: dict[str, Any] = item.document()
    body |= {name: each for name, each in item.vectors.items() if _directed(each)}
    return body


def _directed(vector: Any) -> bool:
    """Return whether the vector is not zero. A modality that the product lacks is a zero vector."""
    # The first number is almost always enough. `any` releases the GIL, and with two writing threads
    # acquiring it again costs as much as the rest of an action.
    return not isinstance(vector, np.ndarray) or bool(vector[0]) or bool(vector.any())


def packed(items: Sequence[Item], stored: Mapping[str, Stored] | None = None) -> tuple[Bulk, Sequence[Item]]:
    """Return as many items as fit into a request of BULK_BYTES, at least one, and the rest."""
    body = io.BytesIO()
    ends: list[int] = []
    for item in items:
        lines = action(item, stored.get(item.product.id) if stored else None)
        if ends and ends[-1] + len(lines) > BULK_BYTES:
            break
        body.write(lines)
        ends.append(body.tell())
    # Each item's lines are only in the body; a separate list would double the memory.
    return Bulk(items[: len(ends)], body.getvalue(), ends), items[len(ends) :]


def send(client: OpenSearch, target: Target, bulk: Bulk) -> Outcome:
    """Send one bulk request.

    Raise AwayError if the whole request should be repeated, BlockedError if OpenSearch accepts no documents.
    """
    try:
        answer = ask(
            client,
            "POST",
            f"/{target.index}/_bulk",
            body=bulk.body,
            params={"filter_path": "items.*._id,items.*.status,items.*.result,items.*.error"},
            headers={"content-type": "application/x-ndjson", **tracing.headers()},
        )
    except HttpError as error:
        return _refused_as_one(client, target, bulk, error)
    outcome = Outcome()
    # By id, not by position: with an ingest pipeline, the response has another order than the request.
    waiting = {item.product.id: item for item in bulk.items}
    for entry in answer["items"]:
        ((verb, result),) = entry.items()
        _sort(outcome, waiting.pop(result["_id"]), verb, result, target)
    outcome.again += waiting.values()
    return outcome


def _refused_as_one(client: OpenSearch, target: Target, bulk: Bulk, error: HttpError) -> Outcome:
    """Handle a rejected request. One document may be the cause, which sending halves can identify."""
    if error.status not in (400, 413) or verdict(error.status, error.details) is Verdict.STOP:
        if error.status >= 500:
            raise AwayError(error.server, str(error)) from None
        raise blocked(target, error.status, error.kind, error.reason)
    if len(bulk.items) == 1:
        refused = _refusal(error.status, error.kind, error.reason)
        return Outcome(refused=[(bulk.items[0], refused)])
    outcome = Outcome()
    for half in bulk.halves():
        outcome.add(send(client, target, half))
    return outcome


def _sort(outcome: Outcome, item: Item, verb: str, result: dict[str, Any], target: Target) -> None:
    status = int(result["status"])
    how = result.get("result")
    if status < 300:
        if how == "deleted":
            outcome.deleted.append(item)
        elif how == "noop" and verb == "index":
            outcome.dropped.append(item)
        else:
            outcome.done.append(item)
            outcome.same += how == "noop"
        return
    if how == "not_found":
        outcome.missing.append(item)
        return
    error = result.get("error") or {}
    kind, reason = described(error)
    match verdict(status, error):
        case Verdict.STOP:
            raise blocked(target, status, kind, reason)
        case Verdict.WAIT:
            outcome.again.append(item)
            outcome.overloaded = True
            outcome.why = outcome.why or f"{status} {kind}: {reason}"
        case Verdict.TRY if item.tries + 1 < TRIES:
            item.tries += 1
            outcome.again.append(item)
        case _ if kind == "document_missing_exception" and item.change:
            outcome.refused.append((item, not_there(item.product.id)))
        case _:
            outcome.refused.append((item, _refusal(status, kind, reason)))


def blocked(target: Target, status: int, kind: str, reason: str) -> BlockedError:
    """Return the error for a run whose documents are all rejected and for which waiting does not help."""
    return BlockedError(
        f"expected {target.index} to take documents, got {status} {kind}: {reason}; {repair(status, kind)}, "
        "then run the same command again; indexed products remain"
    )


def _refusal(status: int, kind: str, reason: str) -> DocumentError:
    return DocumentError(
        kind or f"http_{status}", f"expected a document that OpenSearch takes, got {status}: {reason}"
    )


def not_there(identifier: str) -> DocumentError:
    """Return the error for a partial update of a product that is not in the index."""
    return DocumentError(
        "not_there",
        f"expected the product {identifier!a} in the index for a partial update, got none; send the "
        "whole product",
    )
