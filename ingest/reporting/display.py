"""Terminal output of a run: a bar with rate, remaining time and bottleneck stage, or plain lines."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from mmsearch.ingest.reporting.progress import IngestProgress

PLAIN_EVERY = 30.0


class Display:
    """Context manager: `say` prints a message above the bar, `watch` updates the bar. Both write to
    stderr.
    """

    def __init__(self, *, bar: bool | None = None) -> None:
        self._console = Console(file=sys.stderr, force_terminal=bar)
        self._bar = self._console.is_terminal if bar is None else bar
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[stage]}"),
            console=self._console,
        )
        self._task = self._progress.add_task("ingest", total=None, rate="", stage="")
        self._last = time.monotonic()

    def __enter__(self) -> Display:
        if self._bar:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._progress.stop()

    def say(self, message: str) -> None:
        self._console.print(f"mmsearch: {message}", markup=False, highlight=False, soft_wrap=True)

    def watch(self, run: IngestProgress) -> None:
        stats = run.stats
        finished = stats.indexed + stats.rejected
        rate = finished / max(stats.elapsed(), 1e-9)
        if self._bar:
            # The total is only known as the share of the file read, while the rate counts finished products.
            share = run.share()
            total = stats.read / share if share else None
            self._progress.update(
                self._task,
                total=total,
                completed=finished,
                rate=f"{finished:,} done, {rate:,.0f}/s",
                stage=f"held back by {run.bottleneck()}",
            )
        elif time.monotonic() - self._last > PLAIN_EVERY:
            self._last = time.monotonic()
            self.say(
                f"{stats.indexed:,} indexed, {stats.rejected:,} rejected, {rate:,.0f} a second, "
                f"held back by {run.bottleneck()}"
            )
