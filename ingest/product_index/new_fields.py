"""Attributes that an index has not met before get fields, as long as it may have more of them."""

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
    """The target with fields for what `wanted` finds that its schema has none for.

    An index with all attributes in one field stays as it is. A refusal is said: the attributes are then kept
    as text. Raises AwayError.
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
        # Another run may have been faster, with another type.
        found = present(client, target.index).schema
        if found == schema:
            say(f"{len(new)} new attributes of {target.index} are kept as text, got {error}")
        return replace(target, schema=found)
    return replace(target, schema=replace(schema, types={**schema.types, **new}))
