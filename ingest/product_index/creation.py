"""Checks options of a new index that are given for an existing one, which must have them."""

from __future__ import annotations

from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask
from mmsearch.errors import MismatchError
from mmsearch.ingest.product_index.storage import Storage, StorageOptions, described
from mmsearch.ingest.product_index.target import Target
from mmsearch.ingest.schema.fields import SchemaOptions


def require_as_asked(
    client: OpenSearch, target: Target, options: StorageOptions, shards: int | None, schema: SchemaOptions
) -> None:
    """Raise MismatchError if the index has another storage, number of shards, language or number of attribute
    fields."""
    index = target.index
    most = schema.attribute_fields
    if most is not None and (target.schema.types is None or most != target.schema.most):
        had = "one field for all" if target.schema.types is None else target.schema.most
        raise MismatchError(
            f"expected {index} to be made with --attribute-fields {most}, got {had}; leave that out, or "
            f"build a new index by: mmsearch reindex --attribute-fields {most}"
        )
    if schema.language is not None and schema.language != target.schema.language:
        raise MismatchError(
            f"expected {index} to be made with --language {schema.language}, got "
            f"{target.schema.language or 'no language'}; leave that out, or build a "
            f"new index by: mmsearch reindex --language {schema.language}"
        )
    if schema.files and schema.files.digest() != target.schema.shop:
        raise MismatchError(
            f"expected {index} to be made with these --mapping and --settings, got others; leave them out, "
            "or build a new index by: mmsearch reindex, with both"
        )
    if not options and shards is None:
        return
    try:
        about: dict[str, Any] = ask(client, "GET", f"/{index}")[index]
    except HttpError as error:
        raise MismatchError(
            f"expected to read the settings of {index}, got {error}; grant indices:admin/get, or leave "
            "--shards and --knn-* out"
        ) from None
    wrong, got = [], []
    field = about["mappings"]["properties"].get("embedding", {})
    if differing := options.differing(Storage.of(field)):
        wrong += differing
        got.append(described(Storage.of(field)))
    had = int(about["settings"]["index"]["number_of_shards"])
    if shards is not None and shards != had:
        wrong.append(f"--shards {shards}")
        got.append(f"--shards {had}")
    if wrong:
        asked = " ".join(wrong)
        raise MismatchError(
            f"expected {index} to be made with {asked}, got {' '.join(got)}; leave that out, or build a new "
            f"index by: mmsearch reindex {asked}"
        )
