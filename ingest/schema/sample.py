"""The first products of a catalog, by which a new index is made: in which languages their texts are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

from mmsearch.ingest.schema.fields import Schema, SchemaOptions
from mmsearch.ingest.schema.languages import LANGUAGES, NONE
from mmsearch.products import translations
from mmsearch.products.language import language_of
from mmsearch.products.reader import read_products
from mmsearch.products.record import Line, Product, parse

LINES = 1_000
BYTES = 8 << 20
"""a sample ends where either is reached"""


class Source(Protocol):
    """A catalog: its lines, once, and how much of it has been read."""

    def __iter__(self) -> Iterator[Line]: ...
    def share(self) -> float: ...
    def close(self) -> None: ...


class Sampled:
    """A catalog whose first lines may be looked at before they are read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lines = iter(source)
        self._first: list[Line] = []

    def first(self) -> Sequence[Line]:
        """The first lines, which stay to be read. Raises CatalogError."""
        size = sum(len(line.raw) for line in self._first)
        while len(self._first) < LINES and size < BYTES:
            line = next(self._lines, None)
            if line is None:
                break
            self._first.append(line)
            size += len(line.raw)
        return self._first

    def __iter__(self) -> Iterator[Line]:
        first, self._first = self._first, []
        return itertools.chain(first, self._lines)

    def share(self) -> float:
        return self._source.share()

    def close(self) -> None:
        self._source.close()


def schema_for(
    lines: Sequence[Line],
    renames: Mapping[str, str] | None,
    options: SchemaOptions,
    say: Callable[[str], None],
    before: Schema | None = None,
) -> Schema:
    """The schema of a new index for products such as these; what was detected is said.

    `before` is that of the index which the new one follows: its language stays where none is asked for.
    """
    known = options.language or (before.language if before else "")
    language = known or _detected(_read(lines, renames), say)
    found = _others(_read(lines, renames, language))
    kept = before.translations if before else ()
    shop = options.files.digest() or (before.shop if before else "")
    return Schema(language, tuple(sorted({*kept, *found} - {language})), shop)


def _read(
    lines: Iterable[Line], renames: Mapping[str, str] | None, language: str | None = None
) -> list[Product]:
    """The products of the lines that are some, their titles in the language where there are several."""
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
    """The languages of translations that have analysers.

    One alone may be a name of something else, as `title_id` is: its texts have to be in it.
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
