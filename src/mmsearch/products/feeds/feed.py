"""Reads a catalog: recognizes its platform and checks its columns by its first records."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from mmsearch.errors import CatalogError, RecordError
from mmsearch.products.feeds.canonical import Canonical
from mmsearch.products.feeds.columns import MEANT, Columns, columns_of, meant
from mmsearch.products.feeds.preset import NONE, Preset, found, named
from mmsearch.products.feeds.variants import gathered
from mmsearch.products.mapping.renamed import KNOWN
from mmsearch.products.mapping.sources import SHOWN, require_there
from mmsearch.products.record import Line, load
from mmsearch.products.sampled import LINES, Sampled, Source

FEW = 100
"""records by which a platform is recognised where no column is to be checked"""
Row = tuple[int, Mapping[str, Any]]


class Feed:
    """The lines of a source, converted by the preset if there is one.

    `renames` is `--map`, `preset` is `--preset`: a name, a file, `none`, or None to recognize the platform.
    `say` receives messages for the user. With `keep`, `about` describes the use of the columns, and `first`
    has the first records. Iterating raises CatalogError for an unknown preset, and if neither the header nor
    any of the first records has a column in `renames`.
    """

    def __init__(
        self,
        source: Source,
        renames: Mapping[str, str] | None = None,
        preset: str | None = None,
        say: Callable[[str], None] = lambda _: None,
        *,
        keep: bool = False,
    ) -> None:
        self.preset: Preset | None = None
        """what the feed is read by, once its first records are known"""
        self.about = Columns()
        self.first: list[dict[str, Any]] = []
        self._source = source
        self._renames = dict(renames or {})
        self._wanted = preset
        self._say = say
        self._keep = keep

    def share(self) -> float:
        return self._source.share()

    def close(self) -> None:
        self._source.close()

    def __iter__(self) -> Iterator[Line]:
        """Check the first records now, so that an invalid option fails before the run starts."""
        try:
            return self._lines()
        except BaseException:
            self.close()
            raise

    def _lines(self) -> Iterator[Line]:
        if self._wanted == NONE and not self._renames and not self._keep:
            return iter(self._source)
        sampled = Sampled(self._source)
        records, header = _records(sampled.first(self._looked_at())), _header(self._source)
        self.preset = found(header, records) if self._wanted is None else named(self._wanted)
        if self.preset is None:
            require_there(self._renames, records, header, self._name())
            self._require_id(records, header)
            if self._keep:
                own = {name: name for name in KNOWN if name not in self._renames}
                self._keep_about({**own, **self._renames}, {}, records, records, header)
            return iter(sampled)
        canonical = Canonical(self.preset, self._renames)
        products = [each for record in records for each in canonical.products(record)[1]]
        rows = [canonical.plain(product) for product in products]
        require_there(self._renames, [*rows, *records], header, self._name())
        if self._wanted is None:
            self._say(
                f"{self._name()} is read as a feed of {self.preset.name}; --preset none reads its columns as "
                "they are"
            )
        if self._keep:
            options = {canonical.column(name): "options" for name in canonical.option_columns}
            self._keep_about(canonical.fields, {**self.preset.patterns, **options}, records, rows, header)
        return self._mapped(sampled, canonical)

    def _require_id(self, records: Sequence[Mapping[str, Any]], header: Sequence[str]) -> None:
        """Raise CatalogError if no record has an id and another column may be it, or if a table has none."""
        if "id" in self._renames or "id" in header or any("id" in record for record in records):
            return
        likely = meant("id", [dict.fromkeys(header), *records])
        if not (header or (likely and len(records) > 1)):
            return
        names = list(dict.fromkeys([*header, *(name for record in records for name in record)]))
        raise CatalogError(
            f"expected a column `id` in {self._name()}, got {', '.join(names[:SHOWN])}; name the columns, "
            f"for example: {_options(likely or names[0], self._renames, [dict.fromkeys(header), *records])}"
        )

    def _keep_about(
        self,
        fields: Mapping[str, str],
        patterns: Mapping[str, str],
        records: list[dict[str, Any]],
        rows: Sequence[Mapping[str, Any]],
        header: Sequence[str],
    ) -> None:
        self.first = records
        self.about = columns_of(fields, patterns, records, rows, header)

    def _looked_at(self) -> int:
        """Return the number of lines to check; only the first of a pipe, which may be slow."""
        if self._renames or self._wanted is not None or self._keep:
            return LINES
        return 1 if str(getattr(self._source, "path", "-")) == "-" else FEW

    def _mapped(self, lines: Iterable[Line], canonical: Canonical) -> Iterator[Line]:
        assert self.preset is not None
        bad: list[Line] = []
        counts = {"rows": 0, "products": 0, "left_out": 0}
        rows = self._rows(lines, canonical, bad, counts)
        if self.preset.rows is None:
            products: Iterable[tuple[int, Sequence[Mapping[str, Any]], tuple[str, str] | None]] = (
                (number, [row], None) for number, row in rows
            )
        else:
            products = gathered(rows, self.preset.rows)
        for number, of_one, lost in products:
            yield from bad
            bad.clear()
            counts["products"] += 1
            yield Line(number, orjson.dumps(canonical.record(of_one)), lost)
        yield from bad
        if self.preset.rows and counts["products"] < counts["rows"]:
            products_of = "1 product" if counts["products"] == 1 else f"{counts['products']} products"
            self._say(f"{counts['rows']} rows are {products_of} with variants")
        if counts["left_out"]:
            entries = "1 entry" if counts["left_out"] == 1 else f"{counts['left_out']} entries"
            self._say(f"left out of {self._name()} as no products: {entries}")

    def _rows(
        self, lines: Iterable[Line], canonical: Canonical, bad: list[Line], counts: dict[str, int]
    ) -> Iterator[Row]:
        """Yield the rows with their numbers; invalid lines go to `bad` and are rejected by the parser."""
        for line in lines:
            try:
                if line.trouble is not None:
                    raise RecordError(*line.trouble)
                record = load(line.raw, line.number)
            except RecordError:
                bad.append(line)
                continue
            within, products = canonical.products(record)
            counts["left_out"] += within - len(products)
            for product in products:
                counts["rows"] += 1
                yield line.number, canonical.plain(product)

    def _name(self) -> str:
        path = str(getattr(self._source, "path", "-"))
        return "the catalog" if path == "-" else path


def _options(identifier: str, given: Mapping[str, str], records: Sequence[Mapping[str, Any]]) -> str:
    """Return the options that read the fields from the most likely columns."""
    found = {"id": identifier}
    for name in MEANT:
        own = any(name in record for record in records)
        if name not in given and not own and (column := meant(name, records)) not in ("", *found.values()):
            found.setdefault(name, column)
    return " ".join(f"--map {shlex.quote(f'{name}={column}')}" for name, column in found.items())


def _header(source: Source) -> tuple[str, ...]:
    """Return the header of a table, also of columns that are empty in the first rows."""
    return tuple(getattr(getattr(source, "found", source), "columns", ()))


def _records(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Return the records of the valid lines."""
    found = []
    for line in lines:
        if line.trouble is None:
            try:
                found.append(load(line.raw, line.number))
            except RecordError:
                continue  # it is rejected where it is parsed
    return found
