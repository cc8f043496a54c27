"""The index behind its alias: created from the mapping, checked against the encoder, asked what it already
holds."""

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
    """Where to write: the alias as given, the index behind it, its vector fields, whether it is empty and
    new, and what it understands."""

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
    """The index behind `name`, created as NAME-000001 with the alias when there is none; only then `schema`
    is asked what it is to understand, and the shop's own `files` are merged in. `types` is asked for the
    attributes of an index of the shop's own, by its fields.

    Raises MismatchError when it was made for another encoder, AwayError when OpenSearch is away.
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
            # A second ingest may have been faster.
            target = existing_target(client, name, served, fields) if error.status == 400 else None
            if target is None:
                raise MismatchError(
                    f"expected OpenSearch to create the index {index}, got {error.kind}: {error.reason}"
                    f"{template_repair(error)}"
                ) from None
    return target


def shops_own(client: OpenSearch, name: str) -> str | None:
    """The index behind `name` where it is none of ours."""
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
    """Raises MismatchError where an index of the shop's own could not become one of ours."""
    storage.require_libraries(client)
    understood = types(_fields(client, index))
    lacking(client, index, definition(served, fields or DEFAULT_FIELDS, storage=storage, schema=understood))


def template_repair(error: HttpError) -> str:
    """What helps where an index template of an older release has attributes as a flat_object."""
    if f"[{TYPED}]" not in error.reason or "object mapping" not in error.reason:
        return ""
    return (
        "; an index template maps attributes to another type, replace it with "
        "opensearch/products.template.json of this release"
    )


def _fields(client: OpenSearch, index: str) -> Mapping[str, Any]:
    """The `properties` of an index's mapping."""
    found: Mapping[str, Any] = ask(client, "GET", f"/{index}/_mapping")[index]["mappings"]
    fields: Mapping[str, Any] = found.get("properties", {})
    return fields


@dataclass(frozen=True, slots=True)
class Pin:
    """The encoder that an index was made for: its version, its fingerprint, and the width by output."""

    version: str
    fingerprint: str
    dimensions: dict[str, int]


def pinned(client: OpenSearch, name: str) -> Pin | None:
    """What the index behind `name` says that it was made for; None where there is no index of ours yet."""
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
    """The index behind `name`, where no encoder is needed. Raises MismatchError when it is none of ours."""
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
    """The index behind `name` when there is one. Raises as `open_index` does."""
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
    """Settings and mappings of a new index for this encoder; without a schema texts are analysed by
    OpenSearch's default, and with `synonyms` queries by those of the shop."""
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
    """What the index holds of these ids."""
    return {
        document["_id"]: known_of(document.get("_source", {}).get("ingest") or {})
        for document in documents(client, target.index, ids, {"_source_includes": "ingest"})
        if document.get("found")
    }


def known_of(about: dict[str, Any]) -> Known:
    """What a document's `ingest` says."""
    return Known(
        text=about.get("text", ""),
        image=about.get("image", ""),
        fields=about.get("fields", ""),
        modalities=tuple(about.get("modalities", ())),
        image_error=about.get("image_error", ""),
    )


def _existing(client: OpenSearch, name: str) -> _Existing | None:
    """The one index behind an alias or a name."""
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
    """The vector fields of an index that is ours and of this encoder."""
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
