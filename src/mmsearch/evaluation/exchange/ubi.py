"""User Behavior Insights (UBI): convert events to judgments, and judgments to events.

A document of `ubi_queries` has the query (`query_id`, `user_query`); one of `ubi_events` has an action on a
product (`action_name`, `query_id`, `event_attributes.object.object_id`). Purchases become purchase counts of
the query text. Products that were shown but not bought stay unjudged, since that does not make them
irrelevant.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mmsearch.errors import MmsearchError, RecordError
from mmsearch.evaluation.judgments import Judgments, Query
from mmsearch.products.ids import identifier_or_empty
from mmsearch.products.rows import rows

ACTIONS = ("purchase",)
_NAMESPACE = uuid.UUID("3f0f2c2e-6f0e-5a55-9d1c-8d7b6a5c4e3f")


@dataclass
class Imported:
    """Judgments from events. `skipped` counts the unusable events of the requested actions, by reason."""

    judgments: Judgments = field(default_factory=Judgments)
    taken: int = 0
    skipped: dict[str, int] = field(default_factory=dict)


def from_events(
    queries: Iterable[Mapping[str, Any]],
    events: Iterable[Mapping[str, Any]],
    actions: Sequence[str] = ACTIONS,
) -> Imported:
    """Return purchases (or other `actions`) as judgments, one count per event. White space in query texts is
    normalized.
    """
    texts: dict[str, str] = {}
    for document in map(_source, queries):
        asked = " ".join(str(document.get("user_query") or "").split())
        if document.get("query_id") and asked:
            texts[str(document["query_id"])] = asked
    result = Imported()
    for event in map(_source, events):
        if event.get("action_name") not in actions:
            continue
        attributes = event.get("event_attributes") or {}
        product = identifier_or_empty((attributes.get("object") or {}).get("object_id"))
        text = texts.get(str(event.get("query_id")))
        reason = "no object_id" if not product else "an unknown query_id" if text is None else ""
        if reason or text is None:
            result.skipped[reason] = result.skipped.get(reason, 0) + 1
            continue
        result.judgments.add(Query(text, text), product, purchases=1)
        result.taken += 1
    return result


def to_events(
    judgments: Judgments, *, application: str = "mmsearch", when: datetime | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return documents for `ubi_queries` and `ubi_events`: one query per judged query with text, one event
    per purchase.

    Identifiers are derived from the content, so that the same judgments give the same documents.
    """
    stamp = (when or datetime.now(UTC)).isoformat(timespec="milliseconds")
    queries = []
    events = []
    for identifier, query in judgments.queries.items():
        bought = {p: n for p, n in judgments.purchases.get(identifier, {}).items() if n}
        if not query.text or not bought:
            continue
        query_id = str(uuid.uuid5(_NAMESPACE, query.text))
        client = f"{application}-judgments"
        common = {"application": application, "query_id": query_id, "client_id": client, "timestamp": stamp}
        queries.append({**common, "user_query": query.text, "query_response_hit_ids": list(bought)})
        for product, count in bought.items():
            attributes = {"object": {"object_id": product, "object_id_field": "_id"}}
            event = {**common, "action_name": "purchase", "event_attributes": attributes}
            events += [event] * count
    return queries, events


def read_documents(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the documents of a file, either plain or as hits with `_source`. Format, encoding and compression
    are detected from the content. Raise OSError if there is no file, and MmsearchError for an invalid line.
    """
    try:
        for _, document in rows(path):
            yield document
    except RecordError as error:
        raise MmsearchError(f"{path}, line {error.line}: {error.message}; fix or remove it") from None


def _source(document: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = document.get("_source")
    return inner if isinstance(inner, Mapping) else document
