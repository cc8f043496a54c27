"""The schema of an index, as stored in `_meta.mmsearch.schema`."""

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
    """`language` is the code of the products' texts, empty if the analyzers are not mmsearch's;
    `translations` are the other languages with analyzers; `shop` identifies the user's mapping and
    settings. `types` are the types of the attributes with their own fields, by path, None if all attributes
    are in one `flat_object`; `most` is the maximum number of such fields."""

    language: str = ""
    translations: tuple[str, ...] = ()
    shop: str = ""
    types: Mapping[str, str] | None = None
    most: int = DEFAULT_FIELDS

    @classmethod
    def read(cls, meta: Mapping[str, Any], fields: Mapping[str, Any]) -> Schema:
        """Read the schema from `_meta.mmsearch` and the mapping's `properties`; for an older index, an empty
        one.
        """
        found: Mapping[str, Any] = meta.get(META, {})
        return cls(
            found.get("language", ""),
            tuple(found.get("translations", ())),
            found.get("shop", ""),
            most=found.get("attribute_fields", DEFAULT_FIELDS),
        ).of_fields(fields)

    def of_fields(self, fields: Mapping[str, Any]) -> Schema:
        """Return the schema with the types of a mapping's `properties`, including the user's fields."""
        return replace(self, types=types_in(fields) if has_types(fields) else None)

    def described(self) -> dict[str, Any]:
        """Return the content of `_meta.mmsearch.schema`, without the types, which are in the mapping."""
        described: dict[str, Any] = {}
        if self.language:
            described |= {"language": self.language, "translations": list(self.translations)}
        if self.most != DEFAULT_FIELDS:
            described["attribute_fields"] = self.most
        return described | ({"shop": self.shop} if self.shop else {})

    def apply(self, body: dict[str, Any], *, synonyms: bool = False) -> None:
        """Add the attributes' fields, the analyzers and the fields that use them to the definition of a new
        index; `synonyms` is whether the user defines some."""
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
        """Return a product's attributes by field; of translations, only those with analyzers."""
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
    """Return the translations of a stored product as the original attributes."""
    return {
        products.key(field, language): text
        for language, texts in (source.get(TRANSLATIONS) or {}).items()
        for field, text in texts.items()
    }


@dataclass(frozen=True, slots=True)
class SchemaOptions:
    """The values of `--language`, `--attribute-fields` (None if not given), `--mapping` and `--settings`."""

    language: str | None = None
    files: ShopFiles = NO_FILES
    attribute_fields: int | None = None


def _translation(language: Language) -> dict[str, Any]:
    """Return the fields of a product's texts in another language."""
    return {name: text_field(language, long=name == "description") for name in products.TRANSLATED}


def _count(fields: Mapping[str, Any]) -> int:
    """Return the number of fields, including objects."""
    return sum(1 + _count(each.get("properties", {})) for each in fields.values())
