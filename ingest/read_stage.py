"""The front half of a run: read, look up, prepare pictures, and hand each product on, sorted by what it
needs."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mmsearch.errors import PictureError, RecordError, Rejection
from mmsearch.images.concurrent_fetch import Fetched, Fetching, is_url
from mmsearch.images.preprocess import Prepared, Result, Task
from mmsearch.images.process_pool import Decoders, Ticket
from mmsearch.ingest.id_set import Seen, slice_of
from mmsearch.ingest.item import Item, Known
from mmsearch.ingest.job import Job
from mmsearch.ingest.partial import completed, deletion, parse_partial, reads_more, small_change
from mmsearch.ingest.pipeline.channel import AbortedError, Channel
from mmsearch.ingest.pipeline.flow import Flow
from mmsearch.ingest.product_index.foreign_fields import Stored
from mmsearch.ingest.reporting.stats import Tally
from mmsearch.products.catalog import Catalogue
from mmsearch.products.record import Line, Product, parse
from mmsearch.products.rejects import Rejected, Rejects

CHUNK = 128
LOOK_LINGER = 0.1
LOOK_AGAIN = 0.5  # seconds between two looks whether the run has ended
Asked = tuple[list[Item], Ticket]


class Front:
    """`lookup` says what the index knows of some ids, `stored` what it holds; `send` gets the products that
    are to be encoded, stored or deleted."""

    def __init__(
        self,
        job: Job,
        catalogue: Catalogue | Rejected,
        decoders: Decoders,
        rejects: Rejects,
        tally: Tally,
        lookup: Callable[[Sequence[str]], dict[str, Known]],
        send: Callable[[Sequence[Item]], None],
        stored: Callable[[Sequence[str]], dict[str, Stored]] = lambda ids: {},
        max_text_bytes: int = 0,
        fetch: Fetching | None = None,
    ) -> None:
        self.seen = Seen()
        self.nameless = 0
        self.lines: Channel[Line] = Channel(4 * CHUNK, 64 << 20, lambda line: len(line.raw))
        self.fetching: Channel[list[tuple[Item, list[Fetched]]]] = Channel(8 if fetch else 1)
        self.asked: Channel[Asked] = Channel(2 * max(1, job.processes))
        self._job = job
        self._catalogue = catalogue
        self._decoders = decoders
        self._rejects = rejects
        self._tally = tally
        self._lookup = lookup
        self._send = send
        self._stored = stored
        self._parse = parse_partial if job.partial else parse
        self._max_text_bytes = max_text_bytes
        self._fetch = fetch
        self._stopped = threading.Event()

    def start(self, flow: Flow, *outputs: Channel[Item]) -> None:
        """Add the stages to a flow; `outputs` are what `send` writes to."""
        self._stopped = flow.stopped
        flow.stage("read", self._read, self.lines)
        flow.stage("look", self._look, self.fetching)
        flow.stage("fetch", self._arrive, self.asked)
        flow.stage("pictures", self._collect, *outputs)

    def _read(self) -> None:
        for line in itertools.islice(self._catalogue, self._job.limit):
            self.lines.put(line)

    def _look(self) -> None:
        while lines := self.lines.get(CHUNK, LOOK_LINGER):
            items = self._once(list(self._parsed(lines)))
            if self._job.partial:
                items = self._completed(items)
            else:
                found = self._lookup([item.product.id for item in items if not item.change])
                for item in items:
                    item.known = found.get(item.product.id)
                    item.force = self._job.force and not item.change
            self.fetching.put([(item, self._fetches(item)) for item in items])

    def _completed(self, items: Sequence[Item]) -> list[Item]:
        """Partial lines that have what a tower reads, made whole by what the index holds; the others as they
        are."""
        found = self._stored([item.product.id for item in items if not item.change])
        ready = []
        for item in items:
            if item.change:
                ready.append(item)
                continue
            identifier = item.product.id
            try:
                ready.append(completed(item.line, item.product, found.get(identifier), self._max_text_bytes))
            except Rejection as rejection:
                self._rejects.add(item.line, identifier, rejection)
        return ready

    def _fetches(self, item: Item) -> list[Fetched]:
        """Fetches of those pictures of an item that are URLs, started but not waited for."""
        if self._fetch is None:
            return []
        return self._fetch.start([reference for reference in item.references if is_url(reference)])

    def _arrive(self) -> None:
        """Wait for what is fetched, and give all pictures to the decoders."""
        while taken := self.fetching.get(1):
            for chunk in taken:
                tasks = []
                for item, fetched in chunk:
                    try:
                        paths = iter([self._fetched(future) for future in fetched])
                    except PictureError as error:
                        item.trouble = error
                    else:
                        if item.references:
                            tasks.append(_task(item, paths))
                self.asked.put(([item for item, _ in chunk], self._decoders.submit(tasks)))

    def _fetched(self, future: Fetched) -> Path:
        while True:
            try:
                return future.result(LOOK_AGAIN)
            except TimeoutError:
                # A run that has ended does not wait for a slow host.
                if self._stopped.is_set():
                    raise AbortedError from None

    def _parsed(self, lines: Sequence[Line]) -> Iterator[Item]:
        for line in lines:
            try:
                product = self._parse(line, self._job.renames)
            except RecordError as error:
                if self._mine(error.identifier.encode() or line.raw):
                    self._tally.add(read=1)
                    if error.identifier:
                        self.seen.add([error.identifier])
                    else:
                        self.nameless += 1
                    self._rejects.add(line, error.identifier, error)
            else:
                if self._mine(product.id.encode()):
                    self._tally.add(read=1)
                    yield self._item(line, product)

    def _item(self, line: Line, product: Product) -> Item:
        if product.delete:
            return deletion(line, product)
        if self._job.partial and not reads_more(product):
            return small_change(line, product)
        return Item.of(line, product, self._max_text_bytes)

    def _mine(self, key: bytes) -> bool:
        """Whether the slice of this process has the key; every process decides alike."""
        number, count = self._job.slice
        return count == 1 or slice_of(key, count) == number

    def _once(self, items: list[Item]) -> list[Item]:
        """The items whose ids are new; running twice could not end in the same index if both were taken."""
        new = self.seen.add([item.product.id for item in items])
        for item, first in zip(items, new, strict=True):
            if not first:
                error = RecordError(
                    "duplicate_id",
                    f"expected each id once, got {item.product.id!a} on line {item.line.number} again",
                )
                self._rejects.add(item.line, item.product.id, error)
        return list(itertools.compress(items, new))

    def _collect(self) -> None:
        while taken := self.asked.get(1):
            for items, ticket in taken:
                results = iter(self._decoders.result(ticket))
                usable = [
                    item
                    for item in items
                    if not item.references or self._pictured(item, item.trouble or next(results))
                ]
                self._send([item for item in usable if self._wanted(item)])

    def _pictured(self, item: Item, result: Result) -> bool:
        if isinstance(result, Prepared):
            item.image_hash, item.pictures = result.digest, result.pictures
        elif self._job.text_only and item.text:
            item.leave_pictures(result)
            self._rejects.without_image(item.line, item.product.id, result)
        else:
            self._rejects.add(item.line, item.product.id, result)
            return False
        return True

    def _wanted(self, item: Item) -> bool:
        """Whether the item is to be encoded, stored or deleted; it is counted or rejected where it is not."""
        if item.change:
            return True
        if item.unchanged:
            self._tally.add(unchanged=1, indexed=1)
            return False
        if item.text or item.image_hash:
            return True
        error = RecordError("nothing_to_encode", "expected a title, description or picture, got none of them")
        self._rejects.add(item.line, item.product.id, error)
        return False


def _task(item: Item, fetched: Iterator[Path]) -> Task:
    """The item's pictures; one that is known need not be decoded unless the text beside it has changed."""
    known = item.known
    unless = known.image if known and known.text == item.text_hash and not item.force else ""
    return Task(
        tuple(next(fetched, reference) if is_url(reference) else reference for reference in item.references),
        unless,
    )
