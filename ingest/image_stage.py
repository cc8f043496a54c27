"""The third stage: images are awaited and decoded, and each product goes on, sorted by what it needs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mmsearch.errors import PictureError, RecordError
from mmsearch.images.concurrent_fetch import Fetched, is_url
from mmsearch.images.preprocess import Prepared, Result, Task
from mmsearch.images.process_pool import DecoderPool, Ticket
from mmsearch.ingest.item import Item
from mmsearch.ingest.job import Job
from mmsearch.ingest.pipeline.channel import AbortedError, Channel
from mmsearch.ingest.pipeline.flow import Flow
from mmsearch.ingest.reporting.reject_writer import Rejects
from mmsearch.ingest.reporting.stats import Stats

CHECK_EVERY = 0.5  # seconds between two looks whether the run has ended


class ImageStage:
    """Waits for what is fetched, has every image checked and decoded, and hands the products on.

    `send` gets those that are to be encoded, stored or deleted; what is unchanged is counted, and what has
    nothing to encode is rejected.
    """

    def __init__(
        self,
        job: Job,
        fetched: Channel[list[tuple[Item, list[Fetched]]]],
        decoders: DecoderPool,
        rejects: Rejects,
        stats: Stats,
        send: Callable[[Sequence[Item]], None],
    ) -> None:
        self.decoding: Channel[tuple[list[Item], Ticket]] = Channel(2 * max(1, job.processes))
        self._job = job
        self._input = fetched
        self._decoders = decoders
        self._rejects = rejects
        self._stats = stats
        self._send = send
        self._stopped = threading.Event()

    def start(self, flow: Flow, *outputs: Channel[Item]) -> None:
        """Add the stage's two threads to a flow; `outputs` are what `send` writes to."""
        self._stopped = flow.stopped
        flow.stage("fetch", self._arrive, self.decoding)
        flow.stage("images", self._collect, *outputs)

    def _arrive(self) -> None:
        """Wait for what is fetched, and give all pictures to the decoders."""
        while taken := self._input.get(1):
            for chunk in taken:
                tasks = []
                for item, fetched in chunk:
                    try:
                        paths = iter([self._fetched(future) for future in fetched])
                    except PictureError as error:
                        item.trouble = error
                    else:
                        if item.references:
                            tasks.append(task_of(item, paths))
                self.decoding.put(([item for item, _ in chunk], self._decoders.submit(tasks)))

    def _fetched(self, future: Fetched) -> Path:
        while True:
            try:
                return future.result(CHECK_EVERY)
            except TimeoutError:
                # A run that has ended does not wait for a slow host.
                if self._stopped.is_set():
                    raise AbortedError from None

    def _collect(self) -> None:
        while taken := self.decoding.get(1):
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
            self._stats.add(unchanged=1, indexed=1)
            return False
        if item.text or item.image_hash:
            return True
        error = RecordError("nothing_to_encode", "expected a title, description or picture, got none of them")
        self._rejects.add(item.line, item.product.id, error)
        return False


def task_of(item: Item, fetched: Iterator[Path]) -> Task:
    """The item's pictures; one that is known need not be decoded unless the text beside it has changed."""
    known = item.known
    unless = known.image if known and known.text == item.text_hash and not item.force else ""
    return Task(
        tuple(next(fetched, reference) if is_url(reference) else reference for reference in item.references),
        unless,
    )
