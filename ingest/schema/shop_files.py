"""The user's own mapping and settings, merged into mmsearch's: fields, analyzers, synonyms and boosts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmsearch.errors import MismatchError
from mmsearch.ingest.schema.analysis import OURS, PLAIN, SYNONYMS, has_synonyms

MAPPING, SETTINGS = "--mapping", "--settings"
Given = Mapping[str, Any] | str | Path
"""a dict, or the path of a JSON file"""
_KEPT_SOURCE = ("enabled", "includes", "excludes")


@dataclass(frozen=True, slots=True)
class ShopFiles:
    """The content of `--mapping` and `--settings`: the parts below `mappings` and `settings.index`."""

    mapping: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, mapping: Given | None = None, settings: Given | None = None) -> ShopFiles:
        """Read the files. Raise MismatchError if one is not a JSON object or conflicts with ingest."""
        inner = _nested(_below(_loaded(settings, SETTINGS), "settings"))
        found = cls(_below(_loaded(mapping, MAPPING), "mappings"), _below(inner, "index"))
        _require_ours_kept(found.mapping, found.settings)
        return found

    def __bool__(self) -> bool:
        return bool(self.mapping or self.settings)

    @property
    def synonyms(self) -> bool:
        """Return whether queries have synonyms."""
        return has_synonyms(self.settings)

    def digest(self) -> str:
        """Return a digest of the files, empty without files."""
        if not self:
            return ""
        text = json.dumps([self.mapping, self.settings], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def merge(self, body: dict[str, Any], shards: int | None = None) -> None:
        """Merge the files into the definition of a new index; `shards` is the value of --shards.

        Raise MismatchError if they contradict it.
        """
        if not self:
            return
        index: dict[str, Any] = body["settings"]["index"]
        had = self.settings.get("number_of_shards")
        if shards is not None and had is not None and int(had) != shards:
            raise MismatchError(
                f"expected one number of shards, got --shards {shards} and number_of_shards {had} in "
                f"{SETTINGS}; leave one of them out"
            )
        if "number_of_replicas" in self.settings:
            index.pop("auto_expand_replicas", None)
        body["settings"]["index"] = over(index, _with_words(self.settings))
        mappings: dict[str, Any] = body["mappings"]
        properties: dict[str, Any] = mappings["properties"]
        for name, theirs in self.mapping.get("properties", {}).items():
            properties[name] = _merged_field(name, properties.get(name), theirs)
        meta = {**self.mapping.get("_meta", {}), **mappings.get("_meta", {})}
        templates = [*self.mapping.get("dynamic_templates", ()), *mappings.get("dynamic_templates", ())]
        mappings |= {name: value for name, value in self.mapping.items() if name != "properties"}
        mappings |= {"_meta": meta} | ({"dynamic_templates": templates} if templates else {})


NO_FILES = ShopFiles()


def over(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Return `top` merged recursively with the keys that only `base` has."""
    merged = {**base, **top}
    for key in base.keys() & top.keys():
        if isinstance(base[key], Mapping) and isinstance(top[key], Mapping):
            merged[key] = over(base[key], top[key])
    return merged


def _merged_field(name: str, ours: Mapping[str, Any] | None, theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a field with the user's settings; mmsearch's fields keep their type."""
    if ours is None:
        return dict(theirs)
    kinds = [str(each.get("type", "object")) for each in (ours, theirs)]
    if kinds[0] == "knn_vector" or name == "ingest":
        raise MismatchError(
            f"expected {MAPPING} without the field {name}, which ingest makes for the encoder, got it; leave "
            "it out"
        )
    if "type" in theirs and kinds[0] != kinds[1]:
        raise MismatchError(
            f"expected {MAPPING} to have {name} as {kinds[0]}, which ingest fills, got {kinds[1]}; leave its "
            "type out, or name another field"
        )
    kept = dict(ours)
    if "analyzer" in theirs and "search_analyzer" not in theirs:
        kept.pop("search_analyzer", None)
    merged = over({key: value for key, value in kept.items() if key != "properties"}, theirs)
    inner = dict(ours.get("properties", {}))
    for key, each in theirs.get("properties", {}).items():
        inner[key] = _merged_field(f"{name}.{key}", inner.get(key), each)
    return merged | ({"properties": inner} if inner else {})


def _with_words(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings; the user's synonyms are analyzed as words in lower case."""
    words = settings.get("analysis", {}).get("filter", {}).get(SYNONYMS)
    if words is None:
        return dict(settings)
    whole = {"type": "synonym_graph", "synonym_analyzer": PLAIN, **words}
    return over(settings, {"analysis": {"filter": {SYNONYMS: whole}}})


def _require_ours_kept(mapping: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raise MismatchError for settings that would break ingest or searches."""
    if str(settings.get("knn", True)).lower() == "false":
        raise MismatchError(f"expected {SETTINGS} with index.knn true or none, got false; leave it out")
    if "mmsearch" in mapping.get("_meta", {}):
        raise MismatchError(
            f"expected {MAPPING} without _meta.mmsearch, which is ingest's, got it; leave it out"
        )
    if lost := [key for key in _KEPT_SOURCE if key in mapping.get("_source", {})]:
        raise MismatchError(
            f"expected {MAPPING} to keep the whole _source, which updates need, got "
            f"_source.{lost[0]}; leave it out"
        )
    if mapping.get("_routing", {}).get("required"):
        raise MismatchError(
            f"expected {MAPPING} without required routing, which no product has, got _routing.required; "
            "leave it out"
        )
    named = {
        f"{kind}.{name}": about
        for kind, of in {**settings.get("analysis", {}), "similarity": settings.get("similarity", {})}.items()
        for name, about in of.items()
    }
    for written in named:
        name = written.partition(".")[2]
        if name.startswith(OURS) and name != SYNONYMS:
            raise MismatchError(
                f"expected names in {SETTINGS} that do not begin with {OURS}, except the filter {SYNONYMS}, "
                f"got {written}; rename it, also in {MAPPING}"
            )


def _loaded(given: Given | None, option: str) -> dict[str, Any]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    try:
        found = json.loads(Path(given).read_text(encoding="utf-8"))
    except OSError as error:
        raise MismatchError(
            f"expected a JSON file for {option} at {given}, got: {error.strerror}; name another"
        ) from None
    except ValueError as error:
        raise MismatchError(f"expected JSON in {given} for {option}, got: {error}; fix it") from None
    if not isinstance(found, dict):
        raise MismatchError(
            f"expected a JSON object in {given} for {option}, got {type(found).__name__}; see docs/ingest.md"
        )
    return found


def _below(found: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the value of an optional outer key, as in a create-index request, or the object itself."""
    inner = found.get(key)
    if not isinstance(inner, Mapping):
        return dict(found)
    rest = {
        name: value for name, value in found.items() if name not in (key, "mappings", "settings", "aliases")
    }
    return over(rest, inner)


def _nested(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return dotted keys as nested objects."""
    result: dict[str, Any] = {}
    for key, value in found.items():
        inner = _nested(value) if isinstance(value, Mapping) else value
        for part in reversed(key.split(".")):
            inner = {part: inner}
        result = over(result, inner)
    return result
