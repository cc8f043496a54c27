"""The second stage: parses lines into products and looks up their state in the index."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from mmsearch.errors import RecordError, Rejection
from mmsearch.images.concurrent_fetch import ConcurrentFetch, Fetched
from mmsearch.images.urls import is_url
from mmsearch.ingest.id_set import IdSet, slice_of
from mmsearch.ingest.item import Item, Known
from mmsearch.ingest.job import Job
from mmsearch.ingest.partial import completed, deletion, parse_partial, reads_more, small_change
from mmsearch.ingest.pipeline.channel import Channel
from mmsearch.ingest.pipeline.flow import Flow
from mmsearch.ingest.product_index.foreign_fields import Stored
from mmsearch.ingest.read_stage import CHUNK
from mmsearch.ingest.reporting.losses import LONG, UNFIT
from mmsearch.ingest.reporting.reject_writer import Rejects
from mmsearch.ingest.reporting.stats import Stats
from mmsearch.ingest.reporting.survey import Survey
from mmsearch.ingest.schema.fields import Schema
from mmsearch.products.reader import duplicate, read_products
from mmsearch.products.record import Line, Product, parse

LINGER = 0.1


class LookupStage:
    """Parses lines, rejects repeated ids, and reads the stored hashes from the index.

    `lookup` returns the hashes of ids, `stored` their documents. `output` receives chunks of items with their
    image downloads, which are started but not awaited.
    """

    def __init__(
        self,
        job: Job,
        lines: Channel[Line],
        rejects: Rejects,
        stats: Stats,
        lookup: Callable[[Sequence[str]], dict[str, Known]],
        stored: Callable[[Sequence[str]], dict[str, Stored]] = lambda ids: {},
        max_text_bytes: int = 0,
        fetch: ConcurrentFetch | None = None,
        schema: Schema | None = None,
        survey: Survey | None = None,
    ) -> None:
        self.ids = IdSet()
        self.nameless = 0
        """lines of this slice whose id could not be read"""
        self.output: Channel[list[tuple[Item, list[Fetched]]]] = Channel(8 if fetch else 1)
        self._job = job
        self._lines = lines
        self._rejects = rejects
        self._stats = stats
        self._lookup = lookup
        self._stored = stored
        self._schema = schema or Schema()
        self._parse = partial(parse_partial if job.partial else parse, language=self._schema.language or None)
        self._max_text_bytes = max_text_bytes
        self._fetch = fetch
        self._survey = survey

    def start(self, flow: Flow) -> None:
        """Add the stage to a flow."""
        flow.stage("look up", self._work, self.output)

    def _work(self) -> None:
        while lines := self._lines.get(CHUNK, LINGER):
            items = self._once(list(self._parsed(lines)))
            if self._survey is not None:
                for item in items:
                    self._survey.add(item)
            if self._job.partial:
                items = self._completed(items)
            else:
                found = self._lookup([item.product.id for item in items if not item.change])
                for item in items:
                    item.known = found.get(item.product.id)
                    item.force = self._job.force and not item.change
            for item in items:
                self._count(item)
            self.output.put([(item, self._fetches(item)) for item in items])

    def _count(self, item: Item) -> None:
        """Count the attributes that are kept without a field of their own although their names have one."""
        for kind, paths in ((UNFIT, item.attributes.unfit), (LONG, item.attributes.long)):
            for path in paths:
                example = f"{path[:60]!a} of {item.product.id!a} on line {item.line.number}"
                self._stats.lose(kind, path[:60], example)

    def _completed(self, items: Sequence[Item]) -> list[Item]:
        """Return partial lines that change a tower's input, completed from the index, and the other lines
        unchanged.
        """
        found = self._stored([item.product.id for item in items if not item.change])
        ready = []
        for item in items:
            if item.change:
                ready.append(item)
                continue
            identifier = item.product.id
            try:
                ready.append(self._made_whole(item, found.get(identifier)))
            except Rejection as rejection:
                self._rejects.add(item.line, identifier, rejection)
        return ready

    def _made_whole(self, item: Item, there: Stored | None) -> Item:
        return completed(item.line, item.product, there, self._max_text_bytes, self._schema)

    def _fetches(self, item: Item) -> list[Fetched]:
        """Start the downloads of an item's image URLs without waiting for them."""
        if self._fetch is None:
            return []
        return self._fetch.start([reference for reference in item.references if is_url(reference)])

    def _parsed(self, lines: Sequence[Line]) -> Iterator[Item]:
        for line, found in read_products(lines, self._job.renames, self._parse):
            if isinstance(found, RecordError):
                if self._mine(found.identifier.encode() or line.raw):
                    self._stats.add(read=1)
                    if found.identifier:
                        self.ids.add([found.identifier])
                    else:
                        self.nameless += 1
                    self._rejects.add(line, found.identifier, found)
            elif self._mine(found.id.encode()):
                self._stats.add(read=1)
                yield self._item(line, found)

    def _item(self, line: Line, product: Product) -> Item:
        if product.delete:
            return deletion(line, product)
        if self._job.partial and not reads_more(product):
            return small_change(line, product, self._schema)
        return Item.of(line, product, self._max_text_bytes, self._schema)

    def _mine(self, key: bytes) -> bool:
        """Return whether the key belongs to this process's slice. All processes decide alike."""
        number, count = self._job.slice
        return count == 1 or slice_of(key, count) == number

    def _once(self, items: list[Item]) -> list[Item]:
        """Return the items whose ids are new. Accepting repeated ids would make the result depend on the
        order of writes.
        """
        new = self.ids.add([item.product.id for item in items])
        for item, first in zip(items, new, strict=True):
            if not first:
                self._rejects.add(item.line, item.product.id, duplicate(item.line, item.product.id))
        return list(itertools.compress(items, new))
