"""Documents become bulk actions, and OpenSearch's answer is read item by item."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from opensearchpy import OpenSearch

from . import spans
from .connect import HttpError, ask
from .errors import DocumentError
from .index import Target
from .item import Item

BULK_BYTES = 8 << 20
_LINE = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
_AGAIN = frozenset((409, 429, 500, 502, 503, 504))
# The new source with the vectors of the old one: a plain partial document would keep attributes that are
# gone.
_SCRIPT = (
    "for (f in params.keep) { if (ctx._source.containsKey(f)) { params.source[f] = ctx._source[f] } }"
    " ctx._source.clear(); ctx._source.putAll(params.source)"
)


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
    """What became of the items of one bulk request."""

    done: list[Item] = field(default_factory=list)
    again: list[Item] = field(default_factory=list)
    overloaded: bool = False
    refused: list[tuple[Item, DocumentError]] = field(default_factory=list)


def action(item: Item, fields: Sequence[str]) -> bytes:
    """The two lines of one item: the whole document when it has vectors, else an update that keeps the
    old ones."""
    identifier = orjson.dumps(item.product.id)
    if item.vectors:
        body: dict[str, Any] = item.document()
        body |= {name: each for name, each in item.vectors.items() if _directed(each)}
        return b'{"index":{"_id":%b}}\n%b' % (identifier, orjson.dumps(body, option=_LINE))
    body = {
        "script": {
            "lang": "painless",
            "source": _SCRIPT,
            "params": {"keep": [field.partition(".")[0] for field in fields], "source": item.document()},
        }
    }
    head = b'{"update":{"_id":%b,"retry_on_conflict":3}}\n' % identifier
    return head + orjson.dumps(body, option=_LINE)


def _directed(vector: Any) -> bool:
    """Whether it has a direction to compare: a modality that the product lacks is a vector of length zero."""
    # The first number nearly always tells. `any` lets go of Python's lock, and with two writing threads
    # taking it back costs as much as the rest of an action.
    return not isinstance(vector, np.ndarray) or bool(vector[0]) or bool(vector.any())


def packed(items: Sequence[Item], fields: Sequence[str]) -> tuple[Bulk, Sequence[Item]]:
    """As many of the items as one request of BULK_BYTES takes, at least one, and the rest."""
    body = io.BytesIO()
    ends: list[int] = []
    for item in items:
        lines = action(item, fields)
        if ends and ends[-1] + len(lines) > BULK_BYTES:
            break
        body.write(lines)
        ends.append(body.tell())
    # Each item's lines are in the body alone: as a list beside it they would take as much again.
    return Bulk(items[: len(ends)], body.getvalue(), ends), items[len(ends) :]


def send(client: OpenSearch, target: Target, bulk: Bulk) -> Outcome:
    """One bulk request. Raises AwayError when the request as a whole should be repeated."""
    items = bulk.items
    try:
        answer = ask(
            client,
            "POST",
            f"/{target.index}/_bulk",
            body=bulk.body,
            params={"filter_path": "errors,items.*.status,items.*.error.type,items.*.error.reason"},
            headers={"content-type": "application/x-ndjson", **spans.headers()},
        )
    except HttpError as error:
        if len(items) == 1:
            return Outcome(refused=[(items[0], _refusal(error.status, error.kind, error.reason))])
        # Too large, or one action that breaks the request: halves find which.
        first, second = (send(client, target, half) for half in bulk.halves())
        return Outcome(
            first.done + second.done,
            first.again + second.again,
            first.overloaded or second.overloaded,
            first.refused + second.refused,
        )
    if not answer.get("errors"):
        return Outcome(done=list(items))
    outcome = Outcome()
    for item, entry in zip(items, answer["items"], strict=True):
        result = next(iter(entry.values()))
        status = int(result["status"])
        if status < 300:
            outcome.done.append(item)
        elif status in _AGAIN:
            outcome.again.append(item)
            outcome.overloaded = outcome.overloaded or status != 409
        else:
            cause = result.get("error", {})
            outcome.refused.append((item, _refusal(status, cause.get("type", ""), cause.get("reason", ""))))
    return outcome


def _refusal(status: int, kind: str, reason: str) -> DocumentError:
    return DocumentError(
        kind or f"http_{status}", f"expected a document that OpenSearch takes, got {status}: {reason}"
    )
