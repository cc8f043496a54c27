"""Documents become bulk actions, and OpenSearch's answer is read item by item."""

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
    """Items and the body of the request that stores them; `ends` is where each one's lines end, in bytes."""

    items: Sequence[Item]
    body: bytes
    ends: Sequence[int]

    def halves(self) -> tuple[Bulk, Bulk]:
        """The first items and the others, of two or more."""
        middle = len(self.items) // 2
        at = self.ends[middle - 1]
        return (
            Bulk(self.items[:middle], self.body[:at], self.ends[:middle]),
            Bulk(self.items[middle:], self.body[at:], [end - at for end in self.ends[middle:]]),
        )


@dataclass(slots=True)
class Outcome:
    """What became of the items of one bulk request.

    `done` are in the index, `same` of them were so before; `deleted` are gone, `missing` were not there;
    `dropped` went into an ingest pipeline that let nothing out. `again` are to be sent again, for `why`.
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
        """The items that need nothing more."""
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
    """The lines of one item: the whole document when it has vectors, else an update that keeps the old ones.

    `stored` is what the index holds under the id: the whole document then takes over what others wrote there.
    """
    if item.change:
        return item.change
    identifier = orjson.dumps(item.product.id)
    if stored is not None:
        body = merged(_whole_document(item), stored, new_vectors=bool(item.vectors))
        # Only if nobody has written the document since its other fields were read.
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
    """Whether it has a direction to compare: a modality that the product lacks is a vector of length zero."""
    # The first number nearly always tells. `any` lets go of Python's lock, and with two writing threads
    # taking it back costs as much as the rest of an action.
    return not isinstance(vector, np.ndarray) or bool(vector[0]) or bool(vector.any())


def packed(items: Sequence[Item], stored: Mapping[str, Stored] | None = None) -> tuple[Bulk, Sequence[Item]]:
    """As many of the items as one request of BULK_BYTES takes, at least one, and the rest."""
    body = io.BytesIO()
    ends: list[int] = []
    for item in items:
        lines = action(item, stored.get(item.product.id) if stored else None)
        if ends and ends[-1] + len(lines) > BULK_BYTES:
            break
        body.write(lines)
        ends.append(body.tell())
    # Each item's lines are in the body alone: as a list beside it they would take as much again.
    return Bulk(items[: len(ends)], body.getvalue(), ends), items[len(ends) :]


def send(client: OpenSearch, target: Target, bulk: Bulk) -> Outcome:
    """One bulk request.

    Raises AwayError when the request as a whole should be repeated, BlockedError when none would be taken.
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
    # By id and not by place: with an ingest pipeline OpenSearch answers in another order than it was asked.
    waiting = {item.product.id: item for item in bulk.items}
    for entry in answer["items"]:
        ((verb, result),) = entry.items()
        _sort(outcome, waiting.pop(result["_id"]), verb, result, target)
    outcome.again += waiting.values()
    return outcome


def _refused_as_one(client: OpenSearch, target: Target, bulk: Bulk, error: HttpError) -> Outcome:
    """The request was refused as a whole: that is one document's fault only where halves can tell which."""
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
    """Nothing of a run is taken, and waiting would not help."""
    return BlockedError(
        f"expected {target.index} to take documents, got {status} {kind}: {reason}; {repair(status, kind)}, "
        "then run the same command again; indexed products remain"
    )


def _refusal(status: int, kind: str, reason: str) -> DocumentError:
    return DocumentError(
        kind or f"http_{status}", f"expected a document that OpenSearch takes, got {status}: {reason}"
    )


def not_there(identifier: str) -> DocumentError:
    """What is wrong with a change of a product that is not in the index."""
    return DocumentError(
        "not_there",
        f"expected the product {identifier!a} in the index for a partial update, got none; send the "
        "whole product",
    )
