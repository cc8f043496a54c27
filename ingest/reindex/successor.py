"""The definition of the index that follows another: its settings, storage and fields, by the encoder that is
served now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmsearch.clients.triton import FIELD_OUTPUTS, Served
from mmsearch.ingest.product_index.storage import Storage, StorageOptions, for_every_release
from mmsearch.ingest.product_index.target import DEFAULT_FIELDS, NESTED, definition
from mmsearch.ingest.schema.analysis import analysed_by_us, has_synonyms, unanalysed, without_ours
from mmsearch.ingest.schema.fields import META, UNKNOWN, Schema
from mmsearch.ingest.schema.shop_files import NO_FILES, ShopFiles

_NOT_CARRIED = (
    # What OpenSearch writes itself, and refuses from others.
    *("creation_date", "history", "provided_name", "resize", "uuid", "verified_before_close", "version"),
    # What would keep the new index from being filled, or from having another number of shards.
    *("blocks", "number_of_routing_shards"),
)
_OURS = ("properties", "_meta")
REPLACES = "replaces"
"""the key of `_meta.mmsearch` that names the index which this one is to follow"""


def vector_fields(about: Mapping[str, Any]) -> tuple[str, ...]:
    """The vector fields of an index of ours, out of `GET /INDEX`."""
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
    """Settings and mappings of the index that follows `name`, which is `about` as `GET /INDEX` tells it.

    Everything is kept but what `fields`, `options`, `shards`, `schema` and the shop's `files` say. Raises
    MismatchError for a storage that k-NN does not have, an encoder without a field's output, or files that
    contradict ours.
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
            mappings["properties"][key] = _kept(mappings["properties"].get(key, {}), value)
    if not options:
        for field in fields:
            _keep_vector(mappings["properties"], field, _vector(about, field))
    mappings |= {key: value for key, value in old.items() if key not in _OURS}
    ours = {**mappings["_meta"]["mmsearch"], REPLACES: name}
    mappings["_meta"] = {**old.get("_meta", {}), "mmsearch": ours}
    files.merge(body, shards)
    return body


def _settings(new: Mapping[str, Any], old: Mapping[str, Any], shards: int | None) -> dict[str, Any]:
    """The old settings, with those of this release that fields need: another that is not there any more was
    taken away."""
    needed = {key: value for key, value in new.items() if key == "knn" or isinstance(value, dict)}
    kept = {key: value for key, value in old.items() if key not in _NOT_CARRIED}
    settings = _over(needed, without_ours(kept))
    # Of an index that was shrunk or split: the node that its first copy had to be on.
    settings.get("routing", {}).get("allocation", {}).pop("initial_recovery", None)
    # An index of the shop's own may be one without vectors.
    vectors = {} if str(settings.get("knn")).lower() == "true" else {"knn": True}
    return settings | vectors | ({"number_of_shards": shards} if shards else {})


def fills(about: Mapping[str, Any], old: str, wanted: Mapping[str, Any]) -> bool:
    """Whether an index is one that an earlier try made to follow `old` as it is wanted now, without any alias
    yet, so that only what it lacks need be encoded."""
    ours, asked = _meta(about), wanted["mappings"]["_meta"]["mmsearch"]
    shards = [str(each["settings"]["index"].get("number_of_shards", 1)) for each in (about, wanted)]
    return (
        not about["aliases"]
        and ours.get(REPLACES) == old
        and ours.get("fields") == asked["fields"]
        and ours.get(META) == asked.get(META)
        and shards[0] == shards[1]
        and all(
            Storage.of(_vector(about, field)) == Storage.of(_vector(wanted, field))
            for field in asked["fields"]
        )
    )


def _kept(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """A field as it was, with what is new in this release; as it is now where its type has changed. A text
    is analysed as it is now, unless the shop has an analyser of its own for it."""
    if not new:
        return old
    if new.get("type") != old.get("type"):
        return new
    if new.get("type") != "text":
        return _over(new, old)
    return _over(new, unanalysed(old)) if analysed_by_us(old) else unanalysed(old)


def _over(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """`top`, with what only `base` has, at every depth."""
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
    """The old field's method (engine, encoder, m, ef_construction) at the new one's dimension."""
    if not old:
        return
    parent, _, name = field.rpartition(".")
    place = properties[parent]["properties"] if parent else properties
    place[name] = {**for_every_release(old), "dimension": place[name]["dimension"]}


def _meta(about: Mapping[str, Any]) -> dict[str, Any]:
    meta: dict[str, Any] = about["mappings"].get("_meta", {}).get("mmsearch", {})
    return meta
