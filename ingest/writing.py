"""The writing stage: items become bulk requests; what OpenSearch puts off is sent again with the next
ones."""

from __future__ import annotations

import random
import threading
import time

from opensearchpy import OpenSearch

from .bulk import Bulk, Outcome, packed, send
from .channel import Channel
from .errors import UnreachableError
from .index import Target
from .inflight import InFlight
from .item import Item
from .progress import Progress
from .rejects import Rejects
from .spans import span
from .tally import Tally
from .waiting import AwayError, Patience

BULK_ITEMS = 500
LINGER = 0.25  # seconds a bulk waits to be filled
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0


class Writing:
    """One call of `work` is one thread's share."""

    def __init__(
        self,
        client: OpenSearch,
        target: Target,
        patience: Patience,
        tally: Tally,
        rejects: Rejects,
        progress: Progress,
        in_flight: InFlight,
        stopped: threading.Event,
        bulk_items: int = BULK_ITEMS,
    ) -> None:
        self._client = client
        self._target = target
        self._patience = patience
        self._tally = tally
        self._rejects = rejects
        self._progress = progress
        self._in_flight = in_flight
        self._stopped = stopped
        self._bulk_items = bulk_items
        self._last = time.monotonic()

    def work(self, source: Channel[Item]) -> None:
        items: list[Item] = []
        pause = 0.0
        while True:
            if pause:
                self._stopped.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            items += source.get(max(1, self._bulk_items - len(items)), LINGER, wait=not items)
            if not items:
                return
            items, sent, overloaded = self._send(items)
            if not overloaded:
                pause = 0.0
                continue
            self._in_flight.trouble()
            # A node that takes some documents needs a breath, one that takes none a rest.
            pause = FIRST_PAUSE if sent else min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE)

    def _send(self, items: list[Item]) -> tuple[list[Item], bool, bool]:
        """Send one bulk; what is still to be sent, whether any was taken, and whether OpenSearch is
        overloaded."""
        bulk, rest = packed(items, self._target.fields)
        with self._in_flight.slot():
            started = time.monotonic()
            outcome = self._patience.call(lambda: self._attempt(bulk))
            if len(bulk.items) == self._bulk_items and not outcome.again:
                self._in_flight.learn(time.monotonic() - started)
        if outcome.done or outcome.refused:
            self._last = time.monotonic()
            self._progress.confirm([*outcome.done, *(item for item, _ in outcome.refused)])
        self._tally.add(indexed=len(outcome.done))
        for item, rejection in outcome.refused:
            self._rejects.add(item.line, item.product.id, rejection)
        if outcome.again and time.monotonic() - self._last > self._patience.limit:
            raise UnreachableError(
                f"expected OpenSearch to take documents within {self._patience.limit:.0f} s, got it "
                f"overloaded all that time{self._patience.go_on}"
            )
        return [*outcome.again, *rest], len(outcome.again) < len(bulk.items), outcome.overloaded

    def _attempt(self, bulk: Bulk) -> Outcome:
        try:
            with self._tally.writing, span("bulk", documents=len(bulk.items), bytes=len(bulk.body)):
                return send(self._client, self._target, bulk)
        except AwayError:
            self._in_flight.trouble()
            raise
