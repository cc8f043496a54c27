"""The indexing stage: sends items as bulk requests. Documents that OpenSearch defers are sent with the next
request.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from opensearchpy import OpenSearch

from mmsearch.clients.retry import Patience, pauses
from mmsearch.clients.tracing import span
from mmsearch.errors import AwayError, UnreachableError
from mmsearch.ingest.item import Item
from mmsearch.ingest.journal import Journal
from mmsearch.ingest.pipeline.channel import Channel
from mmsearch.ingest.pipeline.concurrency import ConcurrencyLimit
from mmsearch.ingest.product_index.bulk import Bulk, Outcome, packed, send
from mmsearch.ingest.product_index.foreign_fields import Stored, stored
from mmsearch.ingest.product_index.presence import Presence
from mmsearch.ingest.product_index.target import Target
from mmsearch.ingest.reporting.losses import DROPPED
from mmsearch.ingest.reporting.reject_writer import Rejects
from mmsearch.ingest.reporting.stats import Stats

BULK_ITEMS = 500
LINGER = 0.25  # seconds a bulk waits to be filled
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0


SILENT = 5.0
"""seconds without an indexed document after which the user is told the reason"""


class IndexStage:
    """Each thread calls `work` once."""

    def __init__(
        self,
        client: OpenSearch,
        target: Target,
        presence: Presence,
        patience: Patience,
        stats: Stats,
        rejects: Rejects,
        journal: Journal,
        in_flight: ConcurrencyLimit,
        stopped: threading.Event,
        say: Callable[[str], None] = lambda _: None,
        bulk_items: int = BULK_ITEMS,
    ) -> None:
        self._client = client
        self._target = target
        self._presence = presence
        self._patience = patience
        self._stats = stats
        self._rejects = rejects
        self._journal = journal
        self._in_flight = in_flight
        self._stopped = stopped
        self._say = say
        self._bulk_items = bulk_items
        self._last = time.monotonic()
        self._waits = ""

    def work(self, source: Channel[Item]) -> None:
        items: list[Item] = []
        waits = pauses(FIRST_PAUSE, LONGEST_PAUSE)
        again = False
        while True:
            if again:
                self._stopped.wait(next(waits))
            items += source.get(max(1, self._bulk_items - len(items)), LINGER, wait=not items)
            if not items:
                return
            items, sent, outcome = self._send(items)
            if outcome.overloaded:
                self._in_flight.trouble()
                # Back off briefly when some documents were accepted, and longer when none was.
                again = True
                if sent:
                    waits = pauses(FIRST_PAUSE, LONGEST_PAUSE)
            else:
                # Documents that failed temporarily are retried after a pause, not at once.
                again = bool(outcome.again)
                waits = pauses(FIRST_PAUSE, LONGEST_PAUSE)

    def _send(self, items: list[Item]) -> tuple[list[Item], bool, Outcome]:
        """Send one bulk request. Return the items to retry, whether any was accepted, and the outcome of the
        request.
        """
        with self._in_flight.slot():
            self._patience.call(self._presence.check)
            there = self._patience.call(lambda: self._there(items))
            bulk, rest = packed(items, there)
            started = time.monotonic()
            outcome = self._patience.call(lambda: self._attempt(bulk))
            if len(bulk.items) == self._bulk_items and not outcome.again:
                self._in_flight.learn(time.monotonic() - started)
        self._count(outcome)
        if outcome.again:
            self._check_patience(outcome)
        return [*outcome.again, *rest], len(outcome.again) < len(bulk.items), outcome

    def _there(self, items: Sequence[Item]) -> dict[str, Stored]:
        """Return the stored documents of products that replace an older document.

        These are products with new vectors and, if a pipeline runs, also those without.
        """
        pipelines = self._presence.pipelines
        over = [item for item in items if item.known and not item.change and (item.vectors or pipelines)]
        with_vectors = [item.product.id for item in over if not item.vectors]
        without = [item.product.id for item in over if item.vectors]
        return stored(self._client, self._target, without) | stored(
            self._client, self._target, with_vectors, vectors=True
        )

    def _count(self, outcome: Outcome) -> None:
        ended = outcome.ended
        if ended:
            self._journal.confirm(ended)
            self._last, self._waits = time.monotonic(), ""
        self._stats.add(
            indexed=len(outcome.done),
            unchanged=outcome.same,
            deleted=len(outcome.deleted),
            missing=len(outcome.missing),
        )
        for item in outcome.dropped:
            self._stats.lose(DROPPED, "pipeline", f"{item.product.id!a} on line {item.line.number}")
        for item, rejection in outcome.refused:
            self._rejects.add(item.line, item.product.id, rejection)

    def _check_patience(self, outcome: Outcome) -> None:
        waited = time.monotonic() - self._last
        why = outcome.why or "documents that fail again and again"
        if waited > self._patience.limit:
            raise UnreachableError(
                f"expected OpenSearch to take documents within {self._patience.limit:.0f} s, got it "
                f"overloaded all that time, {why}{self._patience.go_on}"
            )
        if waited > SILENT and self._waits != why:
            self._waits = why
            self._say(
                f"OpenSearch rejects documents for now ({why}); waiting up to {self._patience.limit:.0f} s"
            )

    def _attempt(self, bulk: Bulk) -> Outcome:
        try:
            with self._stats.writing, span("bulk", documents=len(bulk.items), bytes=len(bulk.body)):
                return send(self._client, self._target, bulk)
        except AwayError:
            self._in_flight.trouble()
            raise
