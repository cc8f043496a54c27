"""The encoding stage: sends batches of items to Triton, several at a time, and adds the vectors to the
items.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence

import numpy as np

from mmsearch.clients.retry import Patience
from mmsearch.clients.tracing import span
from mmsearch.clients.triton import FIELD_OUTPUTS, Encoder, Row, Served, UnreadableError, Vectors
from mmsearch.errors import AwayError, EncoderError, FaultError, RefusedError
from mmsearch.ingest.item import Item
from mmsearch.ingest.journal import Journal
from mmsearch.ingest.pipeline.channel import Channel
from mmsearch.ingest.pipeline.concurrency import ConcurrencyLimit
from mmsearch.ingest.product_index.target import NESTED
from mmsearch.ingest.reporting.reject_writer import Rejects
from mmsearch.ingest.reporting.stats import Stats

LINGER = 2.0  # seconds a batch waits to be filled; while much is new it never has to
DEATHS = 3  # times that the same batch may end the encoder before it is split
TRIAL: Row = (b"mmsearch", b"")


class EncodeStage:
    """Each thread calls `work` once. A thread acquires a concurrency slot before it takes a batch."""

    def __init__(
        self,
        encoder: Encoder,
        served: Served,
        fields: Sequence[str],
        patience: Patience,
        stats: Stats,
        rejects: Rejects,
        journal: Journal,
        in_flight: ConcurrencyLimit,
        batch: int = 32,
    ) -> None:
        self._encoder = encoder
        self._served = served
        self._nested = NESTED in fields
        self._fields = tuple(field for field in fields if field != NESTED)
        self._outputs = tuple(FIELD_OUTPUTS[field] for field in self._fields)
        self._patience = patience
        self._stats = stats
        self._rejects = rejects
        self._journal = journal
        self._in_flight = in_flight
        self._batch = min(batch, served.max_batch)

    def work(self, source: Channel[Item], output: Channel[Item]) -> None:
        while True:
            with self._in_flight.slot():
                items = source.get(self._batch, LINGER)
                if not items:
                    return
                self._give_vectors(items)
            output.put_all(item for item in items if item.vectors)

    def _give_vectors(self, items: list[Item]) -> None:
        """Assign vectors to items: from the cache first, then by encoding each distinct content once across
        all threads.
        """
        self._journal.recall(items)
        mine = self._journal.claim([item for item in items if not item.vectors])
        try:
            self._encode_all(mine)
        finally:
            self._journal.release(mine)
        others = [item for item in items if not (item.vectors or item.failed)]
        self._journal.await_claimed(others)
        self._journal.recall(others)
        # A content that another thread could not encode is tried again here, so that each item gets its own
        # error.
        self._encode_all([item for item in others if not item.vectors])
        for item in items:
            item.pictures = ()

    def _encode_all(self, items: list[Item]) -> None:
        for group in self._groups(items):
            self._encode(group)

    def _groups(self, items: list[Item]) -> Iterator[list[Item]]:
        """Group items by the rows of one request. An item has one row per image."""
        group: list[Item] = []
        rows = 0
        for item in items:
            count = max(1, len(item.pictures))
            if group and rows + count > self._batch:
                yield group
                group, rows = [], 0
            group.append(item)
            rows += count
        if group:
            yield group

    def _encode(self, items: list[Item]) -> None:
        """Encode the items. An item that the encoder rejects is rejected without affecting the others."""
        rows = [row for item in items for row in rows_of(item)]
        deaths = itertools.count(1)
        try:
            found = self._patience.call(lambda: self._ask(rows, deaths))
        except UnreadableError as error:
            self._leave_texts(items, error)
            return
        except (RefusedError, FaultError) as error:
            if len(items) > 1:
                middle = len(items) // 2
                self._encode(items[:middle])
                self._encode(items[middle:])
            else:
                self._give_up(items[0], error)
            return
        at = 0
        for item in items:
            count = max(1, len(item.pictures))
            item.vectors = {
                field: mean_direction(vectors[at : at + count])
                for field, vectors in zip(self._fields, found, strict=True)
            }
            if self._nested and item.pictures:
                each = found[self._fields.index("embedding")][at : at + count]
                item.vectors["pictures"] = [{"embedding": vector} for vector in each]
            at += count
        # A content that is kept stands for its text too, which is not in these vectors.
        self._journal.keep([item for item in items if not item.unread])
        self._stats.add(encoded=len(items))

    def _leave_texts(self, items: list[Item], error: UnreadableError) -> None:
        """Encode the items again, those that the error names by their pictures alone."""
        owners = [number for number, item in enumerate(items) for _ in rows_of(item)]
        unread = {owners[row] for row in error.rows if row < len(owners)}
        if not unread.issubset(number for number, item in enumerate(items) if item.text) or not unread:
            raise EncoderError(
                f"expected {self._encoder.name} to name rows with a text as unreadable, got row "
                f"{' '.join(map(str, error.rows)) or 'none'}; check the model that it serves"
            )
        rest = []
        for number, item in enumerate(items):
            if number not in unread:
                rest.append(item)
            elif item.pictures:
                self._rejects.without_text(item.line, item.product.id, error)
                item.leave_text()
                rest.append(item)
            else:
                self._give_up(item, error)
        if rest:
            self._encode(rest)

    def _give_up(self, item: Item, error: RefusedError | FaultError) -> None:
        item.failed = True
        rejection = _fatal(error) if isinstance(error, FaultError) else error
        self._rejects.add(item.line, item.product.id, rejection)

    def _ask(self, rows: list[Row], deaths: Iterator[int]) -> list[Vectors]:
        started = time.monotonic()
        try:
            self._stats.add(encoder_calls=1)
            with self._stats.asking, span("encode", rows=len(rows), model=self._served.item_model):
                found = self._encoder.encode(rows, self._served, self._outputs)
        except AwayError:
            self._in_flight.trouble()
            raise
        except FaultError as fault:
            self._in_flight.trouble()
            self._blame(fault, next(deaths))
            raise
        if len(rows) == self._batch:
            self._in_flight.learn(time.monotonic() - started)
        return found

    def _blame(self, fault: FaultError, death: int) -> None:
        """Return when the batch causes the failure: the server still encodes a plain word, or crashes on this
        batch repeatedly.

        Otherwise the server is treated as unreachable.
        """
        if death >= DEATHS:
            return
        try:
            self._encoder.encode([TRIAL], self._served, self._outputs)
        except (FaultError, RefusedError):
            raise AwayError(self._encoder.name, str(fault)) from None


def rows_of(item: Item) -> list[Row]:
    """Return the rows of an encoder request: one per image, or one for the text only."""
    text = item.text.encode()
    return [(text, picture) for picture in item.pictures] or [(text, b"")]


def mean_direction(vectors: Vectors) -> Vectors:
    """Return the normalized mean of a product's row vectors, shape (dimension,); unit length unless all rows
    are zero.
    """
    if len(vectors) == 1:
        return np.asarray(vectors[0])
    mean = np.asarray(vectors.mean(axis=0))
    length = float(np.linalg.norm(mean))
    if length:
        np.divide(mean, length, out=mean)
    return mean


def _fatal(fault: FaultError) -> RefusedError:
    return RefusedError("kills_encoder", f"expected an item that the encoder can process, got: {fault}")
