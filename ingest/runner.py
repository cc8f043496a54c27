"""The ingest pipeline: read → look up → prepare images → encode → write. Stages run concurrently with
backpressure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import ask
from mmsearch.clients.retry import Patience
from mmsearch.clients.tracing import set_attributes, span
from mmsearch.clients.triton import Encoder, Served
from mmsearch.errors import AwayError, BlockedError, CallError, MismatchError, UnreachableError
from mmsearch.images.concurrent_fetch import ConcurrentFetch
from mmsearch.images.fetch import Fetch
from mmsearch.images.process_pool import DecoderPool
from mmsearch.ingest.encode_stage import EncodeStage
from mmsearch.ingest.image_stage import ImageStage
from mmsearch.ingest.index_stage import IndexStage
from mmsearch.ingest.item import Item, Known
from mmsearch.ingest.job import Job
from mmsearch.ingest.journal import Journal
from mmsearch.ingest.lookup_stage import LookupStage
from mmsearch.ingest.measuring import alignment, random_scores
from mmsearch.ingest.pipeline.channel import Channel
from mmsearch.ingest.pipeline.concurrency import ConcurrencyLimit
from mmsearch.ingest.pipeline.flow import Flow
from mmsearch.ingest.product_index.aliases import require_whole
from mmsearch.ingest.product_index.creation import require_as_asked
from mmsearch.ingest.product_index.foreign_fields import Stored, stored
from mmsearch.ingest.product_index.new_fields import add_fields
from mmsearch.ingest.product_index.presence import Presence
from mmsearch.ingest.product_index.storage import Storage
from mmsearch.ingest.product_index.sync import sync
from mmsearch.ingest.product_index.target import (
    Target,
    existing_target,
    known,
    open_index,
    pinned,
    require_adoptable,
    shops_own,
)
from mmsearch.ingest.read_stage import ReadStage
from mmsearch.ingest.recipe import PIPE, remember
from mmsearch.ingest.reporting.reject_writer import Rejects
from mmsearch.ingest.reporting.stats import Report, Stats
from mmsearch.ingest.reporting.survey import Survey
from mmsearch.ingest.schema.fields import Schema
from mmsearch.ingest.schema.sample import schema_for, types_beside, types_for
from mmsearch.products.catalog import Catalog
from mmsearch.products.feeds.feed import Feed
from mmsearch.products.in_memory import InMemoryCatalog
from mmsearch.products.rejects import Rejected
from mmsearch.products.sampled import Sampled
from mmsearch.serving.pictures.pixels import Frame

FIRST_ENCODING, MOST_ENCODING = 4, 8
MOST_WRITING = 2
HELD = 64 << 20  # bytes that wait for a stage
Say = Callable[[str], None]
Source = Catalog | InMemoryCatalog


def run(
    job: Job,
    encoder: Encoder,
    client: OpenSearch,
    *,
    source: Source | None = None,
    say: Say = lambda _: None,
    watch: Callable[[Run], None] = lambda _: None,
) -> Report:
    """Ingest one catalog, or a rejects file with `job.retry`; `source` replaces `job.catalog`.

    `say` receives messages for users; `watch` is called about five times per second. Raise IngestError when
    the run cannot continue. Indexed products stay in the index, and the same command continues.
    """
    with ExitStack() as opened:
        opened.enter_context(span("ingest", index=job.index, catalog=Path(job.catalog).name))
        feed = _opened(job, source, say)
        catalog = opened.enter_context(closing(Sampled(feed)))

        # By frame, because the served model may change while the servers are waited for.
        @cache
        def pool(frame: Frame | None) -> DecoderPool:
            return opened.enter_context(closing(DecoderPool(job.image_root, frame, job.processes)))

        served, target = prepare_servers(
            job, encoder, client, say, catalog, lambda served: pool(served.frame()).warm_up()
        )
        decoders = pool(served.frame())
        stats = Stats()
        rejects = opened.enter_context(
            closing(Rejects(job.rejects, job.origin, stats, job.max_rejects, job.max_without_image))
        )
        fetch = opened.enter_context(closing(ConcurrentFetch(Fetch(job.pictures)))) if job.fetch else None
        this = Run(job, catalog, encoder, served, client, target, rejects, decoders, fetch, stats, say)
        this.feed = feed if isinstance(feed, Feed) else None
        try:
            report = this.report(watch)
        except CallError as error:
            raise BlockedError(error.sentence()) from None
        finally:
            # Report the counts however the run ends.
            watch(this)
        set_attributes(read=report.read, indexed=report.indexed, rejected=report.rejected)
        return report


def _opened(job: Job, source: Source | None, say: Say) -> Feed | Rejected:
    if job.retry:
        return Rejected(Path(job.catalog))
    catalog = source or Catalog(job.catalog, job.format, say)
    return Feed(catalog, job.renames, job.preset, say, keep=job.dry_run)


def prepare_servers(
    job: Job,
    encoder: Encoder,
    client: OpenSearch,
    say: Say,
    catalog: Sampled,
    creating: Callable[[Served], None] = lambda _: None,
) -> tuple[Served, Target | None]:
    """Return the served encoder and the matching index. An unreachable server is an error here unless the job
    sets `wait_for_servers`.

    An existing index keeps the model version that it was created for. A new index is defined from the first
    products of the catalog, after a call of `creating`. In a dry run the index is not created, and is None if
    it does not exist.
    """
    prepared = partial(_prepared, job, encoder, client, say, catalog, creating)
    try:
        return Patience(job.patience, say).call(prepared) if job.wait else prepared()
    except AwayError as away:
        raise UnreachableError(away.sentence()) from None
    except CallError as error:
        raise BlockedError(error.sentence()) from None


def _prepared(
    job: Job,
    encoder: Encoder,
    client: OpenSearch,
    say: Say,
    catalog: Sampled,
    creating: Callable[[Served], None],
) -> tuple[Served, Target | None]:
    served = encoder.describe()
    require_whole(client, job.index)
    storage = job.storage.over(Storage())

    def types(fields: Mapping[str, Any]) -> Schema:
        return types_for(catalog.first(), job.renames, job.schema, fields)

    def schema() -> Schema:
        creating(served)
        return schema_for(catalog.first(), job.renames, job.schema, say)

    if pin := pinned(client, job.index):
        served = encoder.pinned(served, pin.version, pin.fingerprint, pin.dimensions)
    if job.dry_run and (own := shops_own(client, job.index)):
        require_adoptable(client, own, served, job.fields, storage, types)
        return served, None
    if job.dry_run or job.partial:
        target = existing_target(client, job.index, served, job.fields)
        if job.partial and target is None:
            raise MismatchError(
                f"expected an index behind {job.index} for --partial, got none; ingest the whole "
                "catalog first, or name another by --index"
            )
        if target is None:
            storage.require_libraries(client)
    else:
        target = open_index(
            client,
            job.index,
            served,
            fields=job.fields,
            storage=storage,
            shards=job.shards,
            schema=schema,
            types=types,
            files=job.schema.files,
            say=say,
        )
    if target and not target.created:
        require_as_asked(client, target, job.storage, job.shards, job.schema)
        # A pipe may be slow to bring its first lines; a few rejects say little of a type.
        if not (job.dry_run or job.retry or job.catalog == PIPE):
            target = add_fields(
                client, target, lambda schema: types_beside(catalog.first(), job.renames, schema), say
            )
    return served, target


class Run:
    """The stages of one run and the channels between them."""

    def __init__(
        self,
        job: Job,
        catalog: Sampled,
        encoder: Encoder,
        served: Served,
        client: OpenSearch,
        target: Target | None,
        rejects: Rejects,
        decoders: DecoderPool,
        fetch: ConcurrentFetch | None,
        stats: Stats,
        say: Say,
    ) -> None:
        self._catalog = catalog
        self.stats = stats
        self._job = job
        self._encoder = encoder
        self._served = served
        self._client = client
        self._target = target
        self._rejects = rejects
        self._say = say
        self.feed: Feed | None = None
        """the catalog before the lines that were looked at; None for a rejects file"""
        self._survey = Survey() if job.dry_run else None
        self._schema = target.schema if target else Schema()
        if job.dry_run and target is None:
            self._schema = schema_for(catalog.first(), job.renames, job.schema, say)
        self._flow = Flow()
        self._patience = Patience(job.patience, say, job.resume, self._flow.stopped)
        self._ready: Channel[Item] = Channel(4 * job.batch, HELD, Item.weight)
        self._encoded: Channel[Item] = Channel(2 * job.bulk_items, HELD, Item.weight)
        self._read = ReadStage(job, catalog)
        self._lookup = LookupStage(
            job,
            self._read.output,
            rejects,
            stats,
            self._known,
            self._stored,
            served.max_text_bytes,
            fetch,
            self._schema,
            self._survey,
        )
        self._images = ImageStage(
            job, self._lookup.output, decoders, rejects, stats, self._send, self._schema.language
        )

    def report(self, watch: Callable[[Run], None]) -> Report:
        target = self._target
        if target is None or self._job.dry_run:
            self._start_until_images()
            self._flow.run(watch=lambda: watch(self))
            self._rejects.check()
        else:
            journal = Journal(self._job.journal, target.index, self._served, target.fields)
            presence = self._patience.call(lambda: Presence(self._client, target))
            with closing(journal):
                self._start_until_images(self._ready, self._encoded)
                self._start_from_encoding(target, presence, journal)
                self._flow.run(watch=lambda: watch(self))
            self._rejects.check()
            self._finish(target, presence)
            remember(self._client, target.index, self._job, self.stats.indexed, self._patience, self._say)
            self._measure(target)
        report = self.stats.report(self.bottleneck())
        if self._survey is None:
            return report
        self._survey.end(self.feed, report.losses, language=self._schema.language, fetch=self._job.fetch)
        return replace(report, survey=self._survey)

    def share(self) -> float:
        """Return the share of the catalog read, 0 to 1; 0 when its length is unknown."""
        return self._catalog.share()

    def bottleneck(self) -> str:
        """Return the last stage whose input queue was non-empty for a third of the time.

        If there is none, as with a short catalog, return the server that was called for most of the time, or
        else reading.
        """
        elapsed = self.stats.elapsed()
        for name, channel in (
            ("indexing", self._encoded),
            ("encoding", self._ready),
            ("pictures", self._images.decoding),
            ("fetching", self._lookup.output),
        ):
            if channel.full_seconds() > elapsed / 3:
                return name
        busy = {"encoding": self.stats.asking.seconds(), "indexing": self.stats.writing.seconds()}
        name = max(busy, key=lambda each: busy[each])
        return name if busy[name] > elapsed / 2 else "reading"

    def _start_until_images(self, *outputs: Channel[Item]) -> None:
        self._read.start(self._flow)
        self._lookup.start(self._flow)
        self._images.start(self._flow, *outputs)

    def _start_from_encoding(self, target: Target, presence: Presence, journal: Journal) -> None:
        encoding = EncodeStage(
            self._encoder,
            self._served,
            target.fields,
            self._patience,
            self.stats,
            self._rejects,
            journal,
            ConcurrencyLimit(FIRST_ENCODING, MOST_ENCODING),
            self._job.batch,
        )
        writing = IndexStage(
            self._client,
            target,
            presence,
            self._patience,
            self.stats,
            self._rejects,
            journal,
            ConcurrencyLimit(MOST_WRITING, MOST_WRITING),
            self._flow.stopped,
            self._say,
            self._job.bulk_items,
        )
        self._flow.stage(
            "encode", lambda: encoding.work(self._ready, self._encoded), self._encoded, workers=MOST_ENCODING
        )
        self._flow.stage("index", lambda: writing.work(self._encoded), workers=MOST_WRITING)

    def _finish(self, target: Target, presence: Presence) -> None:
        self._patience.call(lambda: presence.check(now=True))
        self._patience.call(lambda: ask(self._client, "POST", f"/{target.index}/_refresh"))
        if self._job.sync is not None:
            part, at_most = self._job.slice, self._job.sync
            sync(
                self._client,
                target,
                self._lookup.ids,
                self._lookup.nameless,
                part,
                at_most,
                self._patience,
                self.stats,
                self._say,
            )

    def _measure(self, target: Target) -> None:
        """Weigh the images of a new index, and score random products. One process does, when it has read its
        whole part.
        """
        job = self._job
        if job.slice[0] != 1 or job.limit is not None or job.partial or job.retry:
            return
        alignment.measure_once(self._client, target, self._encoder, self._served, self._patience, self._say)
        if self.stats.indexed >= random_scores.SAMPLE:
            random_scores.measure_once(self._client, target, self._patience, self._say)

    def _known(self, ids: Sequence[str]) -> dict[str, Known]:
        target = self._target
        if target is None or target.created:
            return {}
        return self._patience.call(lambda: known(self._client, target, ids))

    def _stored(self, ids: Sequence[str]) -> dict[str, Stored]:
        target = self._target
        return {} if target is None else self._patience.call(lambda: stored(self._client, target, ids))

    def _send(self, items: Sequence[Item]) -> None:
        # Products that need no new vectors bypass the encoder.
        as_they_are = [item for item in items if item.change or item.same_input]
        fresh = [item for item in items if not (item.change or item.same_input)]
        if self._job.dry_run:
            gone = sum(item.product.delete for item in as_they_are)
            self.stats.add(encoded=len(fresh), indexed=len(items) - gone, deleted=gone)
            return
        self._encoded.put_all(as_they_are)
        self._ready.put_all(fresh)
