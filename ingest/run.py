"""read → look up → prepare pictures → encode → write, all at once, each held back by the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from opensearchpy import OpenSearch

from .aliases import require_whole
from .catalogue import Catalogue
from .channel import Channel
from .connect import ask
from .creation import require_as_asked
from .decoders import Decoders
from .encode import Encoder, Served
from .encoding import Encoding
from .errors import BlockedError, CallError, MismatchError, UnreachableError
from .fetch import Fetch
from .fetching import Fetching
from .flow import Flow
from .front import Front
from .index import Target, existing_target, known, open_index, pinned
from .inflight import InFlight
from .item import Item, Known
from .job import Job
from .others import Stored, stored
from .presence import Presence
from .progress import Progress
from .recipe import remember
from .rejects import Rejected, Rejects
from .spans import set_attributes, span
from .storage import Storage
from .sync import sync
from .tally import Report, Tally
from .waiting import AwayError, Patience
from .writing import Writing

FIRST_ENCODING, MOST_ENCODING = 4, 8
MOST_WRITING = 2
HELD = 64 << 20  # bytes that wait for a stage
Say = Callable[[str], None]


def run(
    job: Job,
    encoder: Encoder,
    client: OpenSearch,
    *,
    say: Say = lambda _: None,
    watch: Callable[[Run], None] = lambda _: None,
) -> Report:
    """Ingest one catalogue, or with `job.retry` a rejects file.

    `say` gets messages for people, `watch` is called about five times a second.
    Raises IngestError when the run cannot go on; what has been indexed stays, and the same command goes on.
    """
    with ExitStack() as opened:
        opened.enter_context(span("ingest", index=job.index, catalogue=Path(job.catalogue).name))
        source = Rejected(Path(job.catalogue)) if job.retry else Catalogue(job.catalogue, job.format)
        catalogue = opened.enter_context(closing(source))
        decoders = opened.enter_context(closing(Decoders(job.image_root, job.processes)))
        served, target = prepare_servers(job, encoder, client, say)
        tally = Tally()
        rejects = opened.enter_context(
            closing(Rejects(job.rejects, job.origin, tally, job.max_rejects, job.max_without_image))
        )
        fetch = opened.enter_context(closing(Fetching(Fetch(job.pictures)))) if job.fetch else None
        this = Run(job, catalogue, encoder, served, client, target, rejects, decoders, fetch, tally, say)
        try:
            report = this.report(watch)
        except CallError as error:
            raise BlockedError(error.sentence()) from None
        finally:
            # Whatever the end is, what was done until then is seen.
            watch(this)
        set_attributes(read=report.read, indexed=report.indexed, rejected=report.rejected)
        return report


def prepare_servers(
    job: Job, encoder: Encoder, client: OpenSearch, say: Say = lambda _: None
) -> tuple[Served, Target | None]:
    """The encoder that is served and the index that fits it; at the start nobody waits for a server, unless
    the job says so.

    An index that is there already keeps the version that it was made for, whatever was deployed since.
    In a dry run the index is not created, and is None when it is not there.
    """
    try:
        if job.wait:
            return Patience(job.patience, say).call(lambda: _prepared(job, encoder, client))
        return _prepared(job, encoder, client)
    except AwayError as away:
        raise UnreachableError(away.sentence()) from None
    except CallError as error:
        raise BlockedError(error.sentence()) from None


def _prepared(job: Job, encoder: Encoder, client: OpenSearch) -> tuple[Served, Target | None]:
    served = encoder.describe()
    require_whole(client, job.index)
    if pin := pinned(client, job.index):
        served = encoder.pinned(served, pin.version, pin.fingerprint, pin.dimensions)
    if job.dry_run or job.partial:
        target = existing_target(client, job.index, served, job.fields)
        if job.partial and target is None:
            raise MismatchError(
                f"expected an index behind {job.index} for --partial, got none; ingest the whole "
                "catalogue first, or name another by --index"
            )
    else:
        target = open_index(
            client,
            job.index,
            served,
            fields=job.fields,
            storage=job.storage.over(Storage()),
            shards=job.shards,
        )
    if target and not target.created:
        require_as_asked(client, target.index, job.storage, job.shards)
    return served, target


class Run:
    """The stages of one run and the channels between them."""

    def __init__(
        self,
        job: Job,
        catalogue: Catalogue | Rejected,
        encoder: Encoder,
        served: Served,
        client: OpenSearch,
        target: Target | None,
        rejects: Rejects,
        decoders: Decoders,
        fetch: Fetching | None,
        tally: Tally,
        say: Say,
    ) -> None:
        self.catalogue = catalogue
        self.tally = tally
        self._job = job
        self._encoder = encoder
        self._served = served
        self._client = client
        self._target = target
        self._rejects = rejects
        self._say = say
        self._flow = Flow()
        self._patience = Patience(job.patience, say, job.resume, self._flow.stopped)
        self._ready: Channel[Item] = Channel(4 * job.batch, HELD, Item.weight)
        self._encoded: Channel[Item] = Channel(2 * job.bulk_items, HELD, Item.weight)
        self._front = Front(
            job,
            catalogue,
            decoders,
            rejects,
            tally,
            self._known,
            self._send,
            self._stored,
            served.max_text_bytes,
            fetch,
        )

    def report(self, watch: Callable[[Run], None]) -> Report:
        target = self._target
        if target is None or self._job.dry_run:
            self._front.start(self._flow)
            self._flow.run(watch=lambda: watch(self))
            self._rejects.check()
        else:
            progress = Progress(self._job.journal, target.index, self._served, target.fields)
            presence = self._patience.call(lambda: Presence(self._client, target))
            with closing(progress):
                self._front.start(self._flow, self._ready, self._encoded)
                self._start_back(target, presence, progress)
                self._flow.run(watch=lambda: watch(self))
            self._rejects.check()
            self._finish(target, presence)
            remember(self._client, target.index, self._job, self.tally.indexed, self._patience, self._say)
        return self.tally.report(self.bottleneck())

    def bottleneck(self) -> str:
        """The last stage that had work waiting for a third of the time.

        Where no queue was that full, as with a short catalogue: the server that was asked for most
        of the time, and reading when neither was.
        """
        elapsed = self.tally.elapsed()
        for name, channel in (
            ("indexing", self._encoded),
            ("encoding", self._ready),
            ("pictures", self._front.asked),
            ("fetching", self._front.fetching),
        ):
            if channel.full_seconds() > elapsed / 3:
                return name
        busy = {"encoding": self.tally.asking.seconds(), "indexing": self.tally.writing.seconds()}
        name = max(busy, key=lambda each: busy[each])
        return name if busy[name] > elapsed / 2 else "reading"

    def _start_back(self, target: Target, presence: Presence, progress: Progress) -> None:
        encoding = Encoding(
            self._encoder,
            self._served,
            target.fields,
            self._patience,
            self.tally,
            self._rejects,
            progress,
            InFlight(FIRST_ENCODING, MOST_ENCODING),
            self._job.batch,
            self._job.text_only,
        )
        writing = Writing(
            self._client,
            target,
            presence,
            self._patience,
            self.tally,
            self._rejects,
            progress,
            InFlight(1, MOST_WRITING),
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
            sync(self._client, target, self._front, part, at_most, self._patience, self.tally, self._say)

    def _known(self, ids: Sequence[str]) -> dict[str, Known]:
        target = self._target
        if target is None or target.created:
            return {}
        return self._patience.call(lambda: known(self._client, target, ids))

    def _stored(self, ids: Sequence[str]) -> dict[str, Stored]:
        target = self._target
        return {} if target is None else self._patience.call(lambda: stored(self._client, target, ids))

    def _send(self, items: Sequence[Item]) -> None:
        # What needs no new vectors goes past the encoder.
        as_they_are = [item for item in items if item.change or item.same_input]
        fresh = [item for item in items if not (item.change or item.same_input)]
        if self._job.dry_run:
            gone = sum(item.product.delete for item in as_they_are)
            self.tally.add(encoded=len(fresh), indexed=len(items) - gone, deleted=gone)
            return
        self._encoded.put_all(as_they_are)
        self._ready.put_all(fresh)
