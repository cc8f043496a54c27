"""The index behind an alias: creation from the mapping, check against the encoder, lookup of stored
products."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask, documents
from mmsearch.clients.triton import FIELD_OUTPUTS, Served
from mmsearch.errors import MismatchError
from mmsearch.ingest.item import Known
from mmsearch.ingest.product_index.adoption import adopt, lacking
from mmsearch.ingest.product_index.storage import Storage
from mmsearch.ingest.schema.attributes import TYPED
from mmsearch.ingest.schema.fields import META, UNKNOWN, Schema
from mmsearch.ingest.schema.shop_files import NO_FILES, ShopFiles
from mmsearch.search.lexical import stored_or_said

MAPPING = Path(__file__).parents[2] / "opensearch" / "products.mapping.json"
DEFAULT_FIELDS = ("embedding",)
NESTED = "pictures.embedding"  # one vector for each of a product's pictures, besides that of the product

VECTORS = (*FIELD_OUTPUTS, NESTED)
"""the vector fields that an index may have"""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to write: the given alias, the index behind it, its vector fields, whether it is new, and its
    schema."""

    name: str
    index: str
    fields: tuple[str, ...]
    created: bool = False
    schema: Schema = UNKNOWN


@dataclass(frozen=True, slots=True)
class _Existing:
    """An index, its `_meta.mmsearch`, and the `properties` of its mapping."""

    index: str
    meta: dict[str, Any]
    fields: dict[str, Any]

    @property
    def schema(self) -> Schema:
        return Schema.read(self.meta, self.fields)


def open_index(
    client: OpenSearch,
    name: str,
    served: Served,
    *,
    fields: Sequence[str] | None = None,
    storage: Storage | None = None,
    shards: int | None = None,
    schema: Callable[[], Schema] = Schema,
    types: Callable[[Mapping[str, Any]], Schema] = lambda _: UNKNOWN,
    files: ShopFiles = NO_FILES,
    say: Callable[[str], None] = lambda _: None,
) -> Target:
    """Return the index behind `name`. If there is none, create NAME-000001 with the alias, with the result of
    `schema` and the user's `files`. For an index that mmsearch did not create, `types` returns the attributes
    from its fields.

    Raise MismatchError if the index was made for another encoder, AwayError if OpenSearch is unreachable.
    """
    storage = storage or Storage()
    if own := shops_own(client, name):
        storage.require_libraries(client)
        understood = types(_fields(client, own))
        adopt(client, own, definition(served, fields or DEFAULT_FIELDS, storage=storage, schema=understood))
        say(f"{own} was not created by mmsearch; its fields and analyzers stay, and missing ones are added")
        stored_or_said(client, name, say)
    target = existing_target(client, name, served, fields)
    if target is None:
        storage.require_libraries(client)
        understood = schema()
        body = definition(
            served,
            fields or DEFAULT_FIELDS,
            storage=storage,
            shards=shards,
            schema=understood,
            synonyms=files.synonyms,
        )
        files.merge(body, shards)
        body["aliases"] = {name: {}}
        index = f"{name}-000001"
        try:
            ask(client, "PUT", f"/{index}", body=body)
            stored_or_said(client, name, say)
            understood = understood.of_fields(body["mappings"]["properties"])
            return Target(name, index, tuple(fields or DEFAULT_FIELDS), created=True, schema=understood)
        except HttpError as error:
            # Another ingest may have created it first.
            target = existing_target(client, name, served, fields) if error.status == 400 else None
            if target is None:
                raise MismatchError(
                    f"expected OpenSearch to create the index {index}, got {error.kind}: {error.reason}"
                    f"{template_repair(error)}"
                ) from None
    return target


def shops_own(client: OpenSearch, name: str) -> str | None:
    """Return the index behind `name` if mmsearch did not create it, else None."""
    found = _existing(client, name)
    return found.index if found and not found.meta.get("fields") else None


def require_adoptable(
    client: OpenSearch,
    index: str,
    served: Served,
    fields: Sequence[str] | None,
    storage: Storage,
    types: Callable[[Mapping[str, Any]], Schema],
) -> None:
    """Raise MismatchError if mmsearch's fields cannot be added to the index."""
    storage.require_libraries(client)
    understood = types(_fields(client, index))
    lacking(client, index, definition(served, fields or DEFAULT_FIELDS, storage=storage, schema=understood))


def template_repair(error: HttpError) -> str:
    """Return the repair if an index template of an older release maps attributes to a flat_object."""
    if f"[{TYPED}]" not in error.reason or "object mapping" not in error.reason:
        return ""
    return (
        "; an index template maps attributes to another type, replace it with "
        "opensearch/products.template.json of this release"
    )


def _fields(client: OpenSearch, index: str) -> Mapping[str, Any]:
    """Return the `properties` of an index's mapping."""
    found: Mapping[str, Any] = ask(client, "GET", f"/{index}/_mapping")[index]["mappings"]
    fields: Mapping[str, Any] = found.get("properties", {})
    return fields


@dataclass(frozen=True, slots=True)
class Pin:
    """The encoder that an index was made for: version, fingerprint, and dimension by output."""

    version: str
    fingerprint: str
    dimensions: dict[str, int]


def pinned(client: OpenSearch, name: str) -> Pin | None:
    """Return the encoder recorded in the index behind `name`; None without an index of mmsearch."""
    found = _existing(client, name)
    fields: dict[str, Any] = found.meta.get("fields", {}) if found else {}
    ours = [about for field, about in fields.items() if field in (*FIELD_OUTPUTS, NESTED)]
    marks = {(str(about.get("model_version")), str(about.get("fingerprint"))) for about in ours}
    if len(marks) != 1:
        return None
    ((version, fingerprint),) = marks
    widths = {
        str(about["output"]): int(about["dimension"])
        for about in ours
        if "output" in about and "dimension" in about
    }
    return Pin(version, fingerprint, widths)


def present(client: OpenSearch, name: str) -> Target:
    """Return the index behind `name`, without an encoder. Raise MismatchError if it is not mmsearch's."""
    found = _existing(client, name)
    if found is None:
        raise MismatchError(
            f"expected an index behind {name}, got none; name one by --index, or ingest a catalog first"
        )
    fields: dict[str, Any] = found.meta.get("fields", {})
    if not fields:
        raise _none_of_ours(name, found.index)
    ours = tuple(each for each in fields if each in (*FIELD_OUTPUTS, NESTED))
    return Target(name, found.index, ours, schema=found.schema)


def existing_target(
    client: OpenSearch, name: str, served: Served, fields: Sequence[str] | None = None
) -> Target | None:
    """Return the index behind `name`, if any. Raise as `open_index` does."""
    found = _existing(client, name)
    if found is None:
        return None
    vectors = _checked(name, found.index, found.meta, served, fields)
    return Target(name, found.index, vectors, schema=found.schema)


def definition(
    served: Served,
    fields: Sequence[str],
    *,
    storage: Storage | None = None,
    shards: int | None = None,
    schema: Schema = UNKNOWN,
    synonyms: bool = False,
) -> dict[str, Any]:
    """Return settings and mappings of a new index for this encoder. Without a schema, texts use OpenSearch's
    default analyzer; with `synonyms`, queries use the user's synonyms."""
    body: dict[str, Any] = json.loads(MAPPING.read_text(encoding="utf-8"))
    if shards:
        body["settings"]["index"]["number_of_shards"] = shards
    meta: dict[str, Any] = {}
    for field in fields:
        output = FIELD_OUTPUTS["embedding" if field == NESTED else field]
        dimension = served.dimensions.get(output)
        if not dimension:
            raise MismatchError(
                f"expected {served.item_model} to have the output {output} for the field {field}, "
                f"got {', '.join(sorted(served.dimensions))}"
            )
        vector = (storage or Storage()).field(dimension)
        parent, _, name = field.rpartition(".")
        properties = body["mappings"]["properties"]
        properties[parent or name] = {"type": "nested", "properties": {name: vector}} if parent else vector
        meta[field] = {
            "model": served.query_model,
            "model_version": served.version,
            "output": output,
            "fingerprint": served.fingerprint,
            "dimension": dimension,
            "item_model": served.item_model,
        }
    ours: dict[str, Any] = {"version": 1, "fields": meta}
    schema.apply(body, synonyms=synonyms)
    if described := schema.described():
        ours[META] = described
    body["mappings"]["_meta"] = {"mmsearch": ours}
    return body


def known(client: OpenSearch, target: Target, ids: Sequence[str]) -> dict[str, Known]:
    """Return the stored state of these ids."""
    return {
        document["_id"]: known_of(document.get("_source", {}).get("ingest") or {})
        for document in documents(client, target.index, ids, {"_source_includes": "ingest"})
        if document.get("found")
    }


def known_of(about: dict[str, Any]) -> Known:
    """Return the state in a document's `ingest`."""
    return Known(
        text=about.get("text", ""),
        image=about.get("image", ""),
        fields=about.get("fields", ""),
        modalities=tuple(about.get("modalities", ())),
        image_error=about.get("image_error", ""),
    )


def _existing(client: OpenSearch, name: str) -> _Existing | None:
    """Return the only index behind an alias or a name."""
    try:
        found = ask(client, "GET", f"/{name}/_mapping")
    except HttpError as error:
        if error.status == 404:
            return None
        raise MismatchError(f"expected an index or alias {name}, got {error.kind}: {error.reason}") from None
    if len(found) > 1:
        raise MismatchError(
            f"expected one index behind {name}, got {', '.join(sorted(found))}; name one by --index"
        )
    index, body = next(iter(found.items()))
    mappings: dict[str, Any] = body["mappings"]
    return _Existing(index, mappings.get("_meta", {}).get("mmsearch", {}), mappings.get("properties", {}))


def _none_of_ours(name: str, index: str) -> MismatchError:
    return MismatchError(
        f"expected {name} to be an index made by mmsearch, got {index} without `_meta.mmsearch`; "
        "choose another name by --index"
    )


def _checked(
    name: str, index: str, meta: dict[str, Any], served: Served, wanted: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the vector fields of an index of mmsearch with this encoder."""
    fields: dict[str, Any] = meta.get("fields", {})
    if not fields:
        raise _none_of_ours(name, index)
    for field, about in fields.items():
        if field not in (*FIELD_OUTPUTS, NESTED):
            continue
        if about.get("fingerprint") != served.fingerprint:
            raise MismatchError(
                f"expected {name} to be made by the encoder served, {served.fingerprint[:12]}, "
                f"got {index} made by {str(about.get('fingerprint'))[:12]}; "
                "serve that one, or build a new index by: mmsearch reindex"
            )
    if wanted is not None and set(wanted) != set(fields):
        raise MismatchError(
            f"expected {index} to have the vector fields {', '.join(wanted)}, got {', '.join(fields)}; "
            f"leave --vectors out, or build a new index by: mmsearch reindex --vectors {','.join(wanted)}"
        )
    return tuple(field for field in fields if field in (*FIELD_OUTPUTS, NESTED))
