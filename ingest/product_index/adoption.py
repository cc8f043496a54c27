"""Adds mmsearch's fields to an index that mmsearch did not create. Existing fields do not change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask
from mmsearch.errors import MismatchError
from mmsearch.ingest.schema.attributes import LONG, OTHER, TYPED, WORDS

_NUMBERS = ("byte", "double", "float", "half_float", "integer", "long", "scaled_float", "short")
_FITTING = {"float": _NUMBERS, "keyword": ("keyword", "text")}
"""type of ours → types of the shop's that hold the same"""
_REINDEX = "give it an alias, and build a new index behind that by: mmsearch reindex CATALOG --index ALIAS"


def lacking(client: OpenSearch, index: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of `wanted`, the definition of a new index, that an existing index lacks.

    Raise MismatchError if one of its fields has an incompatible type, or if it cannot have vectors.
    """
    about = ask(client, "GET", f"/{index}")[index]
    if str(about["settings"]["index"].get("knn", "false")) != "true":
        raise MismatchError(
            f"expected {index} to have index.knn: true, which can only be set when an index is created, got "
            f"none; {_REINDEX}"
        )
    mappings: Mapping[str, Any] = about["mappings"]
    there: Mapping[str, Any] = mappings.get("properties", {})
    fields: Mapping[str, Any] = wanted["mappings"]["properties"]
    if there.get(TYPED, {}).get("type") == "flat_object":  # it holds them all, as in our older indexes
        fields = {name: each for name, each in fields.items() if name not in (TYPED, OTHER, LONG, WORDS)}
    added = {
        name: field for name, ours in fields.items() if (field := _added(index, name, ours, there.get(name)))
    }
    meta = {**mappings.get("_meta", {}), **wanted["mappings"]["_meta"]}
    return {"properties": added, "_meta": meta}


def adopt(client: OpenSearch, index: str, wanted: Mapping[str, Any]) -> None:
    """Add the missing fields to an existing index. Raise MismatchError if OpenSearch rejects them."""
    mapping = lacking(client, index, wanted)
    try:
        ask(client, "PUT", f"/{index}/_mapping", body=mapping)
    except HttpError as error:
        raise MismatchError(
            f"expected {index} to take the fields that ingest fills, got {error}; {_REINDEX}"
        ) from None


def _added(
    index: str, name: str, ours: Mapping[str, Any], theirs: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Return the definition to add for a field, or None if the field exists and is compatible."""
    if theirs is None:
        return dict(ours)
    kind, had = (str(each.get("type", "object")) for each in (ours, theirs))
    if kind == "object" == had:
        inner = {
            key: field
            for key, each in ours.get("properties", {}).items()
            if (field := _added(index, f"{name}.{key}", each, theirs.get("properties", {}).get(key)))
        }
        return {"properties": inner} if inner else None
    fits = had == kind or had in _FITTING.get(kind, ())
    if fits and kind == "knn_vector":
        fits = theirs.get("dimension") == ours["dimension"] and _space(theirs) == _space(ours)
    if not fits:
        wanted = f"{kind} of {ours['dimension']} floats" if kind == "knn_vector" else kind
        raise MismatchError(f"expected {index} to have {name} as {wanted}, got {_shown(theirs)}; {_REINDEX}")
    subfields = {**ours.get("fields", {}), **theirs.get("fields", {})}
    return {**theirs, "fields": subfields} if subfields != theirs.get("fields", {}) else None


def _space(field: Mapping[str, Any]) -> str:
    return str(field.get("method", {}).get("space_type") or field.get("space_type", "l2"))


def _shown(field: Mapping[str, Any]) -> str:
    kind = str(field.get("type", "object"))
    return f"{kind} of {field.get('dimension')} floats by {_space(field)}" if kind == "knn_vector" else kind
