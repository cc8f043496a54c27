"""read → look up → prepare pictures → encode → write, all at once, each held back by the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from opensearchpy import OpenSearch

from .catalogue import Catalogue
from .channel import Channel
from .connect import ask
from .encode import Encoder, Served
from .encoding import Encoding
from .errors import PictureError, RecordError, Rejection, UnreachableError
from .flow import Flow
from .index import Target, known, open_index
from .inflight import InFlight
from .item import Item, Known
from .job import Job
from .prepare import Decoders, Prepared, Task, Ticket
from .records import Line, parse
from .rejects import Rejected, Rejects
from .tally import Report, Tally
from .waiting import AwayError, Patience
from .writing import Writing

CHUNK = 128
LOOK_LINGER = 0.1
MOST_ENCODING = 8
MOST_WRITING = 2

Asked = tuple[list[Item], Ticket]


def run(
    job: Job,
    encoder: Encoder,
    client: OpenSearch,
    *,
    say: Callable[[str], None] = lambda _: None,
    watch: Callable[[Run], None] = lambda _: None,
) -> Report:
    """Ingest one catalogue, or with `job.retry` a rejects file. `say` gets messages for people,
    `watch` is called about five times a second.

    Raises IngestError when the run cannot go on; what has been indexed stays, and the same command goes on.
    """
    with ExitStack() as opened:
        source = Rejected(Path(job.catalogue)) if job.retry else Catalogue(job.catalogue)
        catalogue = opened.enter_context(closing(source))
        served, target = prepare_servers(job, encoder, client)
        rejects = opened.enter_context(closing(Rejects(job.rejects, job.origin)))
        decoders = opened.enter_context(closing(Decoders(job.image_root, job.processes)))
        return Run(job, catalogue, encoder, served, client, target, rejects, decoders, say).report(watch)


def prepare_servers(job: Job, encoder: Encoder, client: OpenSearch) -> tuple[Served, Target]:
    """The encoder that is served and the index that fits it; at the start nobody waits for a server."""
    try:
        served = encoder.describe()
        target = open_index(
            client, job.index, served, fields=job.fields, engine=job.engine, shards=job.shards
        )
    except AwayError as away:
        raise UnreachableError(
            f"expected {away.server} to answer, got {away.why}; start it, for example by: mmsearch up"
        ) from None
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
        target: Target,
        rejects: Rejects,
        decoders: Decoders,
        say: Callable[[str], None],
    ) -> None:
        self.job = job
        self.catalogue = catalogue
        self.tally = Tally()
        self._served = served
        self._client = client
        self._target = target
        self._rejects = rejects
        self._decoders = decoders
        self._flow = Flow()
        self._patience = Patience(job.patience, say, job.resume, self._flow.stopped)
        self._lines: Channel[Line] = Channel(4 * CHUNK, 64 << 20, lambda line: len(line.raw))
        self._asked: Channel[Asked] = Channel(2 * max(1, job.processes))
        self._ready: Channel[Item] = Channel(4 * job.batch, 64 << 20, Item.weight)
        self._encoded: Channel[Item] = Channel(2 * job.bulk_items, 64 << 20, Item.weight)
        self._encoding = Encoding(
            encoder,
            served,
            target.fields,
            self._patience,
            self.tally,
            self._reject,
            InFlight(2, MOST_ENCODING),
            job.batch,
        )
        self._writing = Writing(
            client,
            target,
            self._patience,
            self.tally,
            self._reject,
            InFlight(1, MOST_WRITING),
            self._flow.stopped,
            job.bulk_items,
        )

    def report(self, watch: Callable[[Run], None]) -> Report:
        flow = self._flow
        flow.stage("read", self._read, self._lines)
        flow.stage("look", self._look, self._asked)
        # What needs no new vectors goes past the encoder.
        flow.stage("pictures", self._collect, self._ready, self._encoded)
        flow.stage(
            "encode",
            lambda: self._encoding.work(self._ready, self._encoded),
            self._encoded,
            workers=MOST_ENCODING,
        )
        flow.stage("index", lambda: self._writing.work(self._encoded), workers=MOST_WRITING)
        flow.run(watch=lambda: watch(self))
        self._patience.call(lambda: ask(self._client, "POST", f"/{self._target.index}/_refresh"))
        return self.tally.report(self.bottleneck())

    def bottleneck(self) -> str:
        """The last stage that had work waiting for most of the time; reading when none had."""
        elapsed = self.tally.elapsed()
        for name, channel in (
            ("indexing", self._encoded),
            ("encoding", self._ready),
            ("pictures", self._asked),
        ):
            if channel.full_seconds() > elapsed / 3:
                return name
        return "reading"

    def _read(self) -> None:
        for line in self.catalogue:
            self._lines.put(line)

    def _look(self) -> None:
        while lines := self._lines.get(CHUNK, LOOK_LINGER):
            self.tally.add(read=len(lines))
            items = list(self._parsed(lines))
            found = {} if self._target.created else self._known(items)
            for item in items:
                item.known = found.get(item.product.id)
            tasks = [_task(item) for item in items if item.product.pictures]
            self._asked.put((items, self._decoders.submit(tasks)))

    def _parsed(self, lines: Iterable[Line]) -> Iterator[Item]:
        for line in lines:
            try:
                product = parse(line, self.job.renames)
            except RecordError as error:
                self._refused(line, error.identifier, error)
            else:
                yield Item.of(line, product, self._served.max_text_bytes)

    def _known(self, items: list[Item]) -> dict[str, Known]:
        ids = [item.product.id for item in items]
        return self._patience.call(lambda: known(self._client, self._target, ids))

    def _collect(self) -> None:
        """Pictures are done: sort the items into unchanged, to be updated, to be encoded, and rejected."""
        while taken := self._asked.get(1):
            for items, ticket in taken:
                results = iter(self._decoders.result(ticket))
                for item in items:
                    if item.product.pictures:
                        self._pictured(item, next(results))
                    else:
                        self._forward(item)

    def _pictured(self, item: Item, result: Prepared | PictureError) -> None:
        if isinstance(result, Prepared):
            item.image_hash, item.pictures = result.digest, result.pictures
        elif self.job.text_only and item.text:
            # Remembered with the product, so that a later run tries the picture again.
            item.image_error = result.reason
        else:
            self._reject(item, result)
            return
        self._forward(item)

    def _forward(self, item: Item) -> None:
        if not item.text and not item.image_hash:
            self._reject(
                item, RecordError("nothing_to_encode", "expected a title, description or picture, got none")
            )
        elif item.unchanged:
            self.tally.add(unchanged=1, indexed=1)
        elif item.same_input:
            self._encoded.put(item)
        else:
            self._ready.put(item)

    def _reject(self, item: Item, rejection: Rejection) -> None:
        self._refused(item.line, item.product.id, rejection)

    def _refused(self, line: Line, identifier: str, rejection: Rejection) -> None:
        self._rejects.add(line, identifier, rejection)
        self.tally.add(rejected=1)


def _task(item: Item) -> Task:
    """The item's pictures; one that is known need not be decoded unless the text beside it has changed."""
    known = item.known
    return Task(item.product.pictures, known.image if known and known.text == item.text_hash else "")
