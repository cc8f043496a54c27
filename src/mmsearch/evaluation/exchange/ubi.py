"""User Behavior Insights (UBI): convert events to judgments, and judgments to events.

A document of `ubi_queries` has the query (`query_id`, `user_query`); one of `ubi_events` has an action on a
product (`action_name`, `query_id`, `event_attributes.object.object_id`; `object_id_field` there names the
field that the id is of). Purchases become purchase counts of the query text. Products that were shown but not
bought stay unjudged, since that does not make them irrelevant.
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
ID_FIELDS = ("_id", "id", "product_id")
"""values of `object_id_field` that mean the product's id"""
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
    id_fields: Sequence[str] = ID_FIELDS,
) -> Imported:
    """Return purchases (or other `actions`) as judgments, one count per event. White space in query texts is
    normalized.

    An event with an `object_id_field` counts only if `id_fields` has it.
    """
    texts: dict[str, str] = {}
    for document in map(_source, queries):
        text, identifier = document.get("user_query"), identifier_or_empty(document.get("query_id"))
        asked = " ".join(text.split()) if isinstance(text, str) else ""
        if identifier and asked:
            texts[identifier] = asked
    result = Imported()
    for event in map(_source, events):
        if event.get("action_name") not in actions:
            continue
        try:
            product = _product(event, id_fields)
            text = texts.get(identifier_or_empty(event.get("query_id")))
            if text is None:
                raise _Left("an unknown query_id")
        except _Left as left:
            result.skipped[left.reason] = result.skipped.get(left.reason, 0) + 1
            continue
        result.judgments.add(Query(text, text), product, purchases=1)
        result.taken += 1
    return result


class _Left(Exception):  # noqa: N818 - not an error of the caller
    """An event that is no judgment."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _product(event: Mapping[str, Any], id_fields: Sequence[str]) -> str:
    """Return the product of an event. Raise _Left."""
    node: Any = event
    for name in ("event_attributes", "object"):
        node = node.get(name)
        if node is None:
            raise _Left("no object_id")
        if not isinstance(node, Mapping):
            raise _Left(f"something else than an object as {name}")
    product = identifier_or_empty(node.get("object_id"))
    if not product:
        raise _Left("no object_id")
    field_name = node.get("object_id_field")
    if field_name is not None and field_name not in id_fields:
        raise _Left(
            f"ids of the field {field_name!r} (name it by --object-id-field if the products have these ids)"
        )
    return product


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
