"""The third stage: waits for downloads, decodes images, and passes on each product by what remains to be
done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mmsearch.errors import PictureError, RecordError
from mmsearch.images.colours.names import in_language
from mmsearch.images.concurrent_fetch import Fetched
from mmsearch.images.preprocess import Prepared, Result, Task
from mmsearch.images.process_pool import DecoderPool, Ticket
from mmsearch.images.urls import is_url
from mmsearch.ingest.item import Item
from mmsearch.ingest.job import Job
from mmsearch.ingest.pipeline.channel import AbortedError, Channel
from mmsearch.ingest.pipeline.flow import Flow
from mmsearch.ingest.reporting.reject_writer import Rejects
from mmsearch.ingest.reporting.stats import Stats

CHECK_EVERY = 0.5  # seconds between two looks whether the run has ended
PICTURES = 64  # that are submitted to the decoders together; their pixels wait in memory


class ImageStage:
    """Waits for downloads, has every image checked and decoded, and passes the products on.

    `send` receives items to be encoded, indexed or deleted. Unchanged items are counted; items without text
    and image are rejected.
    """

    def __init__(
        self,
        job: Job,
        fetched: Channel[list[tuple[Item, list[Fetched]]]],
        decoders: DecoderPool,
        rejects: Rejects,
        stats: Stats,
        send: Callable[[Sequence[Item]], None],
        language: str = "",
    ) -> None:
        self.decoding: Channel[tuple[list[Item], Ticket]] = Channel(max(4, decoders.most // 2))
        self._job = job
        self._input = fetched
        self._decoders = decoders
        self._rejects = rejects
        self._stats = stats
        self._send = send
        self._language = language
        self._stopped = threading.Event()

    def start(self, flow: Flow, *outputs: Channel[Item]) -> None:
        """Add the stage's two threads to a flow. `outputs` are the channels that `send` writes to."""
        self._stopped = flow.stopped
        flow.stage("fetch", self._arrive, self.decoding)
        flow.stage("images", self._collect, *outputs)

    def _arrive(self) -> None:
        """Wait for downloads and submit all images to the decoders."""
        while taken := self._input.get(1):
            for chunk in taken:
                items: list[Item] = []
                tasks: list[Task] = []
                pictures = 0
                for item, fetched in chunk:
                    if pictures and pictures + len(item.references) > PICTURES:
                        self._submit(items, tasks)
                        items, tasks, pictures = [], [], 0
                    items.append(item)
                    try:
                        paths = iter([self._fetched(future) for future in fetched])
                    except PictureError as error:
                        item.trouble = error
                    else:
                        if item.references:
                            tasks.append(task_of(item, paths))
                            pictures += len(item.references)
                self._submit(items, tasks)

    def _submit(self, items: list[Item], tasks: list[Task]) -> None:
        self.decoding.put((items, self._decoders.submit(tasks)))

    def _fetched(self, future: Fetched) -> Path:
        while True:
            try:
                return future.result(CHECK_EVERY)
            except TimeoutError:
                # Stop waiting for a slow host when the run has ended.
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
        # While the rest of the run goes on.
        self._decoders.close()

    def _pictured(self, item: Item, result: Result) -> bool:
        if isinstance(result, Prepared):
            item.image_hash, item.pictures = result.digest, result.pictures
            item.colours = in_language(result.colours, self._language)
        elif self._job.text_only and item.text:
            item.leave_pictures(result)
            self._rejects.without_image(item.line, item.product.id, result)
        else:
            self._rejects.add(item.line, item.product.id, result)
            return False
        return True

    def _wanted(self, item: Item) -> bool:
        """Return whether the item is to be encoded, indexed or deleted. Otherwise count or reject it."""
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
    """Return the decoding task of an item's images. A known image is decoded only if the product's text has
    changed.
    """
    known = item.known
    unless = known.image if known and known.text == item.text_hash and not item.force else ""
    return Task(
        tuple(next(fetched, reference) if is_url(reference) else reference for reference in item.references),
        unless,
    )
