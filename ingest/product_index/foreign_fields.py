"""Keeps the fields of other writers in mmsearch's documents, such as a popularity or a pipeline's fields.

mmsearch owns the fields of a product and its vectors, and the attributes in `ingest.attributes`. Documents of
older releases do not have that list; mmsearch owns all their attributes. A document without `ingest` was not
written by mmsearch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import documents
from mmsearch.ingest.product_index.target import Target
from mmsearch.ingest.schema.attributes import PARTS, WORDS, joined, with_words

VECTORS = ("embedding", "text_embedding", "image_embedding", "pictures")
OURS = (
    "title", "description", "category", "category_levels", "brand", "price", "currency", "image", "group",
    "translations", "ingest", WORDS,
)  # fmt: skip
"""top-level fields that a new product replaces, besides PARTS and, where they are new, VECTORS"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A document's source, and its sequence number when it was read."""

    source: Mapping[str, Any]
    seq_no: int
    primary_term: int


def stored(
    client: OpenSearch, target: Target, ids: Sequence[str], *, vectors: bool = False
) -> dict[str, Stored]:
    """Return the documents of these ids, with vectors if wanted. Raise CallError."""
    params = {} if vectors else {"_source_excludes": ",".join(VECTORS)}
    return {
        each["_id"]: Stored(each.get("_source", {}), int(each["_seq_no"]), int(each["_primary_term"]))
        for each in documents(client, target.index, ids, params)
        if each.get("found")
    }


def attributes_of_others(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a stored document that other writers own."""
    return joined(_parts_of_others(source))


def _parts_of_others(source: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the same by their fields."""
    about = source.get("ingest")
    ours = () if about is None else about.get("attributes")
    if ours is None:
        return {}
    parts = {part: there for part in PARTS if isinstance(there := source.get(part), dict)}
    return _without(parts, ours)


def _without(parts: Mapping[str, dict[str, Any]], names: Collection[str]) -> dict[str, dict[str, Any]]:
    gone = set(names)
    left = {
        part: {name: value for name, value in there.items() if name not in gone}
        for part, there in parts.items()
    }
    return {part: there for part, there in left.items() if there}


def merged(document: Mapping[str, Any], stored: Stored, *, new_vectors: bool) -> dict[str, Any]:
    """Return a new document with the other writers' fields of the old one, and its vectors if there are no
    new ones.
    """
    known = {*OURS, *PARTS, *(VECTORS if new_vectors else ())}
    rest = {name: value for name, value in stored.source.items() if name not in known}
    others = _without(_parts_of_others(stored.source), document["ingest"]["attributes"])
    if not others:
        return {**rest, **document}
    parts = {part: {**there, **document.get(part, {})} for part, there in others.items()}
    return with_words({**rest, **document, **parts})
