"""The first stage: reads the lines of a catalog in bounded memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from mmsearch.ingest.job import Job
from mmsearch.ingest.pipeline.channel import Channel
from mmsearch.ingest.pipeline.flow import Flow
from mmsearch.products.record import Line

CHUNK = 128
"""number of lines passed to the next stage at once"""


class ReadStage:
    """Reads the catalog, or the rejects file of `mmsearch retry`, up to the limit of the job."""

    def __init__(self, job: Job, catalog: Iterable[Line]) -> None:
        self.output: Channel[Line] = Channel(4 * CHUNK, 64 << 20, lambda line: len(line.raw))
        self._job = job
        self._catalog = catalog

    def start(self, flow: Flow) -> None:
        """Add the stage to a flow."""
        flow.stage("read", self._work, self.output)

    def _work(self) -> None:
        for line in itertools.islice(self._catalog, self._job.limit):
            self.output.put(line)
