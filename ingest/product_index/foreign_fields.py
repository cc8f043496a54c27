"""What others write into our documents, such as a popularity or a pipeline's fields, and how it stays.

Ours are the fields of a product and its vectors. Of attributes ours are those names that the document lists
in `ingest.attributes`; a document without that list is from before it, and all its attributes are ours. One
without `ingest` is the shop's own.
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
    return joined(_parts_of_others(source))


def _parts_of_others(source: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The same by the fields that they lie in."""
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
    """A whole new document with what others wrote into the old one, and its vectors where none are new."""
    known = {*OURS, *PARTS, *(VECTORS if new_vectors else ())}
    rest = {name: value for name, value in stored.source.items() if name not in known}
    others = _without(_parts_of_others(stored.source), document["ingest"]["attributes"])
    if not others:
        return {**rest, **document}
    parts = {part: {**there, **document.get(part, {})} for part, there in others.items()}
    return with_words({**rest, **document, **parts})
