"""What an index is made to understand, as its `_meta.mmsearch.schema` says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmsearch.ingest.schema.analysis import settings, text_field
from mmsearch.ingest.schema.languages import LANGUAGES, Language
from mmsearch.ingest.schema.shop_files import NO_FILES, ShopFiles
from mmsearch.products import translations as products

META = "schema"
"""the key of `_meta.mmsearch`"""
ATTRIBUTES = "attributes"
TRANSLATIONS = "translations"
"""the field of texts in other languages: language → title, description"""
_EXACT = ("title", "description")
"""the texts whose very words count for more"""
_TEXTS = ("title", "description", "category", "brand")


@dataclass(frozen=True, slots=True)
class Schema:
    """`language` is the code of the products' own texts, empty where the analysers are not ours;
    `translations` are those of the others that have analysers; `shop` tells the shop's own mapping and
    settings from others."""

    language: str = ""
    translations: tuple[str, ...] = ()
    shop: str = ""

    @classmethod
    def read(cls, meta: Mapping[str, Any]) -> Schema:
        """Out of `_meta.mmsearch`; of an older index, one that knows of nothing."""
        found: Mapping[str, Any] = meta.get(META, {})
        return cls(found.get("language", ""), tuple(found.get("translations", ())), found.get("shop", ""))

    def described(self) -> dict[str, Any]:
        """What `_meta.mmsearch.schema` holds."""
        described = {"language": self.language, "translations": list(self.translations)}
        return described | ({"shop": self.shop} if self.shop else {})

    def apply(self, body: dict[str, Any], *, synonyms: bool = False) -> None:
        """Add analysers, and the fields that use them, to the definition of a new index; `synonyms` says that
        the shop defines some."""
        own = LANGUAGES[self.language]
        others = [LANGUAGES[code] for code in self.translations]
        body["settings"]["index"] |= settings([own, *others], synonyms=synonyms)
        properties = body["mappings"]["properties"]
        for name in _TEXTS:
            exact, long = name in _EXACT, name == "description"
            wanted = text_field(own, exact=exact, long=long)
            sub = {**properties[name].get("fields", {}), **wanted.get("fields", {})}
            properties[name] = {**wanted, **({"fields": sub} if sub else {})}
        if others:
            properties[TRANSLATIONS] = {
                "properties": {other.code: {"properties": _translation(other)} for other in others}
            }

    def attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """A product's attributes as the fields that hold them; of translations those that have analysers."""
        rest: dict[str, Any] = {}
        texts: dict[str, Any] = {}
        for name, value in attributes.items():
            about = products.translation(name) if self.translations and isinstance(value, str) else None
            if about and about[1] in self.translations:
                texts.setdefault(about[1], {})[about[0]] = value
            else:
                rest[name] = value
        return {name: value for name, value in ((ATTRIBUTES, rest), (TRANSLATIONS, texts)) if value}


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
    """What `--language`, None where it was not given, `--mapping` and `--settings` say."""

    language: str | None = None
    files: ShopFiles = NO_FILES


def _translation(language: Language) -> dict[str, Any]:
    """The fields of a product's texts in another language."""
    return {name: text_field(language, long=name == "description") for name in products.TRANSLATED}
