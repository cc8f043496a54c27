"""What others write into our documents, such as a popularity or a pipeline's fields, and how it stays.

Ours are the fields of a product and its vectors. Of `attributes` ours are those names that the document lists
in `ingest.attributes`; a document without that list is from before it, and all its attributes are ours. One
without `ingest` is the shop's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import documents
from mmsearch.ingest.product_index.target import Target

VECTORS = ("embedding", "text_embedding", "image_embedding", "pictures")
ATTRIBUTES = "attributes"
OURS = (
    "title", "description", "category", "category_levels", "brand", "price", "currency", "image", "group",
    "translations", "ingest",
)  # fmt: skip
"""top-level fields that a new product replaces, besides ATTRIBUTES and, where they are new, VECTORS"""
UPDATE_SCRIPT = (
    "def s = ctx._source; def was = s.ingest == null ? null : s.ingest.attributes; def rest = new HashMap();"
    " if (was != null && s.attributes instanceof Map)"
    " { rest.putAll(s.attributes); for (name in was) { rest.remove(name) } }"
    " for (f in ['attributes', " + ", ".join(f"'{name}'" for name in OURS) + "]) { s.remove(f) }"
    " s.putAll(params.source);"
    " if (!rest.isEmpty()) { if (s.attributes != null) { rest.putAll(s.attributes) } s.attributes = rest }"
)
"""a plain partial document would keep attributes that are gone from the catalog"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A document's source, and where in the order of writes it was read."""

    source: Mapping[str, Any]
    seq_no: int
    primary_term: int


def stored(
    client: OpenSearch, target: Target, ids: Sequence[str], *, vectors: bool = False
) -> dict[str, Stored]:
    """What the index holds of these ids, vectors if wanted. Raises CallError."""
    params = {} if vectors else {"_source_excludes": ",".join(VECTORS)}
    return {
        each["_id"]: Stored(each.get("_source", {}), int(each["_seq_no"]), int(each["_primary_term"]))
        for each in documents(client, target.index, ids, params)
        if each.get("found")
    }


def attributes_of_others(source: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a stored document that are not ours."""
    there = source.get(ATTRIBUTES)
    if not isinstance(there, dict):
        return {}
    if "ingest" not in source:
        return dict(there)
    ours = source["ingest"].get(ATTRIBUTES)
    if ours is None:
        return {}
    return {name: value for name, value in there.items() if name not in set(ours)}


def merged(document: Mapping[str, Any], stored: Stored, *, new_vectors: bool) -> dict[str, Any]:
    """A whole new document with what others wrote into the old one, and its vectors where none are new."""
    known = {*OURS, ATTRIBUTES, *(VECTORS if new_vectors else ())}
    rest = {name: value for name, value in stored.source.items() if name not in known}
    attributes = {**attributes_of_others(stored.source), **document.get(ATTRIBUTES, {})}
    return {**rest, **document} | ({ATTRIBUTES: attributes} if attributes else {})
