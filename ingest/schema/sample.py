"""Detects the schema of a new index from the first products of a catalog: the languages of texts and the
types of attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mmsearch.ingest.schema.attributes import DEFAULT_FIELDS, types_in, types_of
from mmsearch.ingest.schema.fields import Schema, SchemaOptions
from mmsearch.ingest.schema.languages import LANGUAGES, NONE
from mmsearch.products import translations
from mmsearch.products.language import language_of
from mmsearch.products.reader import read_products
from mmsearch.products.record import Line, Product, parse


def schema_for(
    lines: Sequence[Line],
    renames: Mapping[str, str] | None,
    options: SchemaOptions,
    say: Callable[[str], None],
    before: Schema | None = None,
    fields: Mapping[str, Any] | None = None,
    others: Iterable[Mapping[str, Any]] = (),
) -> Schema:
    """Return the schema of a new index for products like these, and report what was detected.

    `before` is the schema of the previous index. Its language stays unless another is given, and so do the
    types of attributes that these products do not have. `fields` are the fields of that index; the user's own
    keep their types. `others` are attributes of its products that are not in the catalog.
    """
    known = options.language or (before.language if before else "")
    language = known or _detected(_read(lines, renames), say)
    read = _read(lines, renames, language)
    kept = before.translations if before else ()
    shop = options.files.digest() or (before.shop if before else "")
    made = Schema(language, tuple(sorted({*kept, *_others(read)} - {language})), shop)
    return _typed(made, read, options, before, fields or {}, others)


def types_for(
    lines: Sequence[Line],
    renames: Mapping[str, str] | None,
    options: SchemaOptions,
    fields: Mapping[str, Any],
) -> Schema:
    """Return the schema of an index that mmsearch did not create; its texts keep their analyzers."""
    return _typed(Schema(), _read(lines, renames), options, None, fields)


def types_beside(lines: Sequence[Line], renames: Mapping[str, str] | None, schema: Schema) -> Schema:
    """Return the schema of an index with only the types of new attributes."""
    products = _read(lines, renames, schema.language or None)
    return replace(schema, types=types_of(_attributes(products, schema), schema.most, schema.types or ()))


def _typed(
    schema: Schema,
    products: Sequence[Product],
    options: SchemaOptions,
    before: Schema | None,
    fields: Mapping[str, Any],
    others: Iterable[Mapping[str, Any]] = (),
) -> Schema:
    asked = options.attribute_fields
    most = asked if asked is not None else before.most if before else DEFAULT_FIELDS
    shops = types_in(options.files.mapping.get("properties", {})) | types_in(fields, ours=False)
    known = (before.types if before else None) or {}
    types = types_of((*_attributes(products, schema), *others), most, shops, known)
    return replace(schema, types=types, most=most)


def _attributes(products: Iterable[Product], schema: Schema) -> Iterator[Mapping[str, Any]]:
    """Return the products' attributes without the translations that have fields."""
    return (schema.split(each.attributes).attributes() for each in products)


def _read(
    lines: Iterable[Line], renames: Mapping[str, str] | None, language: str | None = None
) -> list[Product]:
    """Return the products of the valid lines, with titles in the language if there are several."""
    found = read_products(lines, renames, partial(parse, language=language))
    return [product for _, product in found if isinstance(product, Product)]


def _detected(products: Sequence[Product], say: Callable[[str], None]) -> str:
    found = language_of(f"{each.title}\n{each.description}" for each in products)
    if found is None:
        say("the language of the products was not recognized; words are not stemmed; name it by --language")
        return NONE
    if found not in LANGUAGES:
        say(f"the products are in {found!r}, which OpenSearch has no stemmer for; name another by --language")
        return NONE
    say(f"the products are in {LANGUAGES[found].name.capitalize()}; name another language by --language")
    return found


def _others(products: Sequence[Product]) -> tuple[str, ...]:
    """Return the languages of translations with analyzers.

    A single column may have another meaning, such as `title_id`, so its texts must be in the language.
    """
    texts: dict[str, list[str]] = {}
    for product in products:
        for name, value in product.attributes.items():
            about = translations.translation(name) if isinstance(value, str) else None
            if about and about[1] in LANGUAGES:
                texts.setdefault(about[1], []).append(value)
    if len(texts) == 1:
        ((code, found),) = texts.items()
        return (code,) if language_of(found) == code else ()
    return tuple(sorted(texts))
