"""Adds fields for new attributes of an index, up to its maximum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask
from mmsearch.ingest.product_index.target import Target, present
from mmsearch.ingest.schema.attributes import TYPED, properties
from mmsearch.ingest.schema.fields import Schema


def add_fields(
    client: OpenSearch, target: Target, wanted: Callable[[Schema], Schema], say: Callable[[str], None]
) -> Target:
    """Return the target with fields for the attributes in `wanted` that have none.

    An index with all attributes in one field does not change. If OpenSearch rejects a field, this is
    reported, and the attributes are kept as text. Raise AwayError.
    """
    schema = target.schema
    if schema.types is None or len(schema.types) >= schema.most:
        return target
    new = wanted(schema).types
    if not new:
        return target
    body = {"properties": {TYPED: {"properties": properties(new)}}}
    try:
        ask(client, "PUT", f"/{target.index}/_mapping", body=body)
    except HttpError as error:
        # Another run may already have added it with another type.
        found = present(client, target.index).schema
        if found == schema:
            say(f"{len(new)} new attributes of {target.index} are kept as text, got {error}")
        return replace(target, schema=found)
    return replace(target, schema=replace(schema, types={**schema.types, **new}))
