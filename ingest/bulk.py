"""Documents become bulk actions, and OpenSearch's answer is read item by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
_AGAIN = frozenset((409, 429, 500, 502, 503, 504))
# The new source with the vectors of the old one: a plain partial document would keep attributes that are
# gone.
_SCRIPT = (
    "for (f in params.keep) { if (ctx._source.containsKey(f)) { params.source[f] = ctx._source[f] } }"
    " ctx._source.clear(); ctx._source.putAll(params.source)"
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
    if item.vectors:
        head: dict[str, object] = {"index": {"_id": item.product.id}}
        body: dict[str, object] = {**item.document(), **_present(item.vectors)}
    else:
        head = {"update": {"_id": item.product.id, "retry_on_conflict": 3}}
        body = {
            "script": {
                "lang": "painless",
                "source": _SCRIPT,
                "params": {"keep": [field.partition(".")[0] for field in fields], "source": item.document()},
            }
        }
    return orjson.dumps(head) + b"\n" + orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n"


def _present(vectors: Mapping[str, Any]) -> dict[str, Any]:
    """Without those of length zero: a modality that the product lacks, which has no direction to compare."""
    return {name: each for name, each in vectors.items() if not isinstance(each, np.ndarray) or each.any()}


def send(client: OpenSearch, target: Target, items: Sequence[Item], lines: Sequence[bytes]) -> Outcome:
    """One bulk request. Raises AwayError when the request as a whole should be repeated."""
    try:
        answer = ask(
            client,
            "POST",
            f"/{target.index}/_bulk",
            body=b"".join(lines),
            params={"filter_path": "errors,items.*.status,items.*.error.type,items.*.error.reason"},
            headers={"content-type": "application/x-ndjson", **spans.headers()},
        )
    except HttpError as error:
        if len(items) == 1:
            return Outcome(refused=[(items[0], _refusal(error.status, error.kind, error.reason))])
        # Too large, or one action that breaks the request: halves find which.
        middle = len(items) // 2
        first = send(client, target, items[:middle], lines[:middle])
        second = send(client, target, items[middle:], lines[middle:])
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
