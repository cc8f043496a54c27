"""Definition of the index that replaces another: its settings, storage and fields, for the encoder that is
served now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmsearch.clients.triton import FIELD_OUTPUTS, Served
from mmsearch.ingest.product_index.storage import Storage, StorageOptions, for_every_release
from mmsearch.ingest.product_index.target import DEFAULT_FIELDS, NESTED, definition
from mmsearch.ingest.schema.analysis import analysed_by_us, has_synonyms, unanalysed, without_ours
from mmsearch.ingest.schema.attributes import TYPED, shops_alone, types_in
from mmsearch.ingest.schema.fields import META, UNKNOWN, Schema
from mmsearch.ingest.schema.shop_files import NO_FILES, ShopFiles

_NOT_CARRIED = (
    # OpenSearch sets these itself and rejects them in a create request.
    *("creation_date", "history", "provided_name", "resize", "uuid", "verified_before_close", "version"),
    # These would block writes to the new index or fix its number of shards.
    *("blocks", "number_of_routing_shards"),
)
_OURS = ("properties", "_meta")
REPLACES = "replaces"
"""key of `_meta.mmsearch` with the name of the index to be replaced"""


def vector_fields(about: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the vector fields of an mmsearch index from `GET /INDEX`."""
    fields = _meta(about).get("fields", {})
    return tuple(name for name in fields if name in (*FIELD_OUTPUTS, NESTED)) or DEFAULT_FIELDS


def successor(
    name: str,
    about: Mapping[str, Any],
    served: Served,
    *,
    fields: Sequence[str] | None = None,
    options: StorageOptions,
    shards: int | None = None,
    schema: Schema = UNKNOWN,
    files: ShopFiles = NO_FILES,
) -> dict[str, Any]:
    """Return settings and mappings of the index that replaces `name`; `about` is its part of `GET /INDEX`.

    Everything is kept except what `fields`, `options`, `shards`, `schema` and `files` change. Raise
    MismatchError for an unknown k-NN storage, an encoder without the output of a field, or files that
    contradict the mapping of mmsearch.
    """
    fields = fields or vector_fields(about)
    storage = options.over(Storage.of(_vector(about, DEFAULT_FIELDS[0])))
    synonyms = files.synonyms or has_synonyms(about["settings"]["index"])
    body = definition(served, fields, storage=storage, shards=shards, schema=schema, synonyms=synonyms)
    body["settings"]["index"] = _settings(body["settings"]["index"], about["settings"]["index"], shards)
    mappings, old = body["mappings"], about["mappings"]
    vectors = {field.partition(".")[0] for field in (*fields, *_meta(about).get("fields", {}))}
    for key, value in old.get("properties", {}).items():
        if key not in vectors:
            kept = (
                {**value, "properties": shops_alone(value.get("properties", {}))} if key == TYPED else value
            )
            mappings["properties"][key] = _kept(mappings["properties"].get(key, {}), kept)
    if not options:
        for field in fields:
            _keep_vector(mappings["properties"], field, _vector(about, field))
    mappings |= {key: value for key, value in old.items() if key not in _OURS}
    ours = {**mappings["_meta"]["mmsearch"], REPLACES: name}
    mappings["_meta"] = {**old.get("_meta", {}), "mmsearch": ours}
    files.merge(body, shards)
    return body


def _settings(new: Mapping[str, Any], old: Mapping[str, Any], shards: int | None) -> dict[str, Any]:
    """Return the old settings plus those of this release that the fields need. A setting that was removed
    from the old index stays removed.
    """
    needed = {key: value for key, value in new.items() if key == "knn" or isinstance(value, dict)}
    kept = {key: value for key, value in old.items() if key not in _NOT_CARRIED}
    settings = _over(needed, without_ours(kept))
    # Left by shrink or split: the node that had to hold the source shards.
    settings.get("routing", {}).get("allocation", {}).pop("initial_recovery", None)
    # An index of the shop's own may be one without vectors.
    vectors = {} if str(settings.get("knn")).lower() == "true" else {"knn": True}
    return settings | vectors | ({"number_of_shards": shards} if shards else {})


def fills(about: Mapping[str, Any], old: str, wanted: Mapping[str, Any]) -> bool:
    """Return whether an index was created by an earlier attempt to replace `old` with the same definition and
    has no alias yet. Only the missing products are encoded then.
    """
    ours, asked = _meta(about), wanted["mappings"]["_meta"]["mmsearch"]
    shards = [str(each["settings"]["index"].get("number_of_shards", 1)) for each in (about, wanted)]
    return (
        not about["aliases"]
        and ours.get(REPLACES) == old
        and ours.get("fields") == asked["fields"]
        and ours.get(META) == asked.get(META)
        and _types(about) == _types(wanted)
        and shards[0] == shards[1]
        and all(
            Storage.of(_vector(about, field)) == Storage.of(_vector(wanted, field))
            for field in asked["fields"]
        )
    )


def _kept(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """Return the old field with additions of this release, or the new definition if its type has changed. A
    text field gets the new analyzer unless the shop configured its own.
    """
    if not new:
        return old
    if new.get("type", "object") != old.get("type", "object"):
        return new
    if new.get("type") != "text":
        return _over(new, old)
    return _over(new, unanalysed(old)) if analysed_by_us(old) else unanalysed(old)


def _over(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Return `top` merged recursively with the keys that only `base` has."""
    merged = {**base, **top}
    for key in base.keys() & top.keys():
        if isinstance(base[key], dict) and isinstance(top[key], dict):
            merged[key] = _over(base[key], top[key])
    return merged


def _vector(about: Mapping[str, Any], field: str) -> dict[str, Any]:
    found: dict[str, Any] = about["mappings"]
    for part in field.split("."):
        found = found.get("properties", {}).get(part, {})
    return found


def _keep_vector(properties: dict[str, Any], field: str, old: Mapping[str, Any]) -> None:
    """Return the old field's method (engine, encoder, m, ef_construction) with the new dimension."""
    if not old:
        return
    parent, _, name = field.rpartition(".")
    place = properties[parent]["properties"] if parent else properties
    place[name] = {**for_every_release(old), "dimension": place[name]["dimension"]}


def _meta(about: Mapping[str, Any]) -> dict[str, Any]:
    meta: dict[str, Any] = about["mappings"].get("_meta", {}).get("mmsearch", {})
    return meta


def _types(about: Mapping[str, Any]) -> dict[str, str]:
    return types_in(about["mappings"]["properties"])
