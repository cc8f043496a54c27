"""What an index is made to understand, as its `_meta.mmsearch.schema` says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mmsearch.ingest.schema.analysis import settings, text_field
from mmsearch.ingest.schema.attributes import (
    DEFAULT_FIELDS,
    TYPED,
    WORDS,
    Split,
    has_types,
    properties,
    split,
    types_in,
)
from mmsearch.ingest.schema.languages import LANGUAGES, Language
from mmsearch.ingest.schema.shop_files import NO_FILES, ShopFiles
from mmsearch.products import translations as products

META = "schema"
"""the key of `_meta.mmsearch`"""
TRANSLATIONS = "translations"
"""the field of texts in other languages: language → title, description"""
_EXACT = ("title", "description")
"""the texts whose very words count for more"""
_TEXTS = ("title", "description", "category", "brand", WORDS)
_LIMIT = 1_000
"""OpenSearch's default number of fields in an index"""


@dataclass(frozen=True, slots=True)
class Schema:
    """`language` is the code of the products' own texts, empty where the analysers are not ours;
    `translations` are those of the others that have analysers; `shop` tells the shop's own mapping and
    settings from others. `types` are those of the attributes that have fields of their own, by path, None
    where all attributes are in one `flat_object`; `most` is how many may have fields."""

    language: str = ""
    translations: tuple[str, ...] = ()
    shop: str = ""
    types: Mapping[str, str] | None = None
    most: int = DEFAULT_FIELDS

    @classmethod
    def read(cls, meta: Mapping[str, Any], fields: Mapping[str, Any]) -> Schema:
        """Out of `_meta.mmsearch` and the mapping's `properties`; of an older index, one that knows of
        nothing."""
        found: Mapping[str, Any] = meta.get(META, {})
        return cls(
            found.get("language", ""),
            tuple(found.get("translations", ())),
            found.get("shop", ""),
            most=found.get("attribute_fields", DEFAULT_FIELDS),
        ).of_fields(fields)

    def of_fields(self, fields: Mapping[str, Any]) -> Schema:
        """The schema with the types of a mapping's `properties`: whoever adds a field types an attribute."""
        return replace(self, types=types_in(fields) if has_types(fields) else None)

    def described(self) -> dict[str, Any]:
        """What `_meta.mmsearch.schema` holds, besides the types, which the mapping itself says."""
        described: dict[str, Any] = {}
        if self.language:
            described |= {"language": self.language, "translations": list(self.translations)}
        if self.most != DEFAULT_FIELDS:
            described["attribute_fields"] = self.most
        return described | ({"shop": self.shop} if self.shop else {})

    def apply(self, body: dict[str, Any], *, synonyms: bool = False) -> None:
        """Add the attributes' fields, analysers, and the fields that use them, to the definition of a new
        index; `synonyms` says that the shop defines some."""
        if self.types:
            made = properties(self.types)
            body["mappings"]["properties"][TYPED]["properties"] = made
            if (count := _count(made)) > _LIMIT // 2:
                body["settings"]["index"]["mapping"] = {"total_fields": {"limit": _LIMIT + count}}
        if self.language:
            self._analyse(body, synonyms=synonyms)

    def _analyse(self, body: dict[str, Any], *, synonyms: bool) -> None:
        own = LANGUAGES[self.language]
        others = [LANGUAGES[code] for code in self.translations]
        body["settings"]["index"] |= settings([own, *others], synonyms=synonyms)
        fields = body["mappings"]["properties"]
        for name in (each for each in _TEXTS if each in fields):
            exact, long = name in _EXACT, name == "description"
            wanted = text_field(own, exact=exact, long=long)
            sub = {**fields[name].get("fields", {}), **wanted.get("fields", {})}
            fields[name] = {**wanted, **({"fields": sub} if sub else {})}
        if others:
            fields[TRANSLATIONS] = {
                "properties": {other.code: {"properties": _translation(other)} for other in others}
            }

    def split(self, attributes: Mapping[str, Any]) -> Split:
        """A product's attributes by the fields that hold them; of translations those that have analysers."""
        rest: dict[str, Any] = {}
        texts: dict[str, Any] = {}
        for name, value in attributes.items():
            about = products.translation(name) if self.translations and isinstance(value, str) else None
            if about and about[1] in self.translations:
                texts.setdefault(about[1], {})[about[0]] = value
            else:
                rest[name] = value
        found = Split({TYPED: rest} if rest else {}) if self.types is None else split(rest, self.types)
        if texts:
            found.parts[TRANSLATIONS] = texts
        return found


UNKNOWN = Schema()
"""that of an index of before there were any"""


def translated(source: Mapping[str, Any]) -> dict[str, Any]:
    """The translations of a stored product as the attributes that they came as."""
    return {
        products.key(field, language): text
        for language, texts in (source.get(TRANSLATIONS) or {}).items()
        for field, text in texts.items()
    }


@dataclass(frozen=True, slots=True)
class SchemaOptions:
    """What `--language` and `--attribute-fields`, None where they were not given, `--mapping` and
    `--settings` say."""

    language: str | None = None
    files: ShopFiles = NO_FILES
    attribute_fields: int | None = None


def _translation(language: Language) -> dict[str, Any]:
    """The fields of a product's texts in another language."""
    return {name: text_field(language, long=name == "description") for name in products.TRANSLATED}


def _count(fields: Mapping[str, Any]) -> int:
    """How many fields these are, objects included."""
    return sum(1 + _count(each.get("properties", {})) for each in fields.values())
