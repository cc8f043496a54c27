"""Log of a run as JSON Lines on stderr, for log collectors."""

from __future__ import annotations

import datetime
import json
import sys
import time
from collections.abc import Mapping
from types import TracebackType

from mmsearch.ingest.reporting.progress import IngestProgress

PROGRESS_EVERY = 10.0
"""seconds"""


class JsonLog:
    """Replacement for Display: `say` logs a message, `watch` logs the progress.

    Every line has `time` (RFC 3339, UTC), `level`, `event` and `message`; all other keys are numbers.
    """

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __enter__(self) -> JsonLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: there is no bar to remove."""

    def say(self, message: str) -> None:
        self.log("message", message, level="warning")

    def watch(self, run: IngestProgress) -> None:
        if time.monotonic() - self._last < PROGRESS_EVERY:
            return
        self._last = time.monotonic()
        stats = run.stats
        self.log(
            "progress",
            f"{stats.indexed} indexed, {stats.rejected} rejected",
            {
                "read": stats.read,
                "indexed": stats.indexed,
                "rejected": stats.rejected,
                "encoded": stats.encoded,
                "seconds": round(stats.elapsed(), 3),
                "bottleneck": run.bottleneck(),
            },
        )

    def log(
        self, event: str, message: str, more: Mapping[str, object] | None = None, *, level: str = "info"
    ) -> None:
        """Write one line; `more` has the counts."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        line = {
            "time": now.replace("+00:00", "Z"),
            "level": level,
            "event": event,
            "message": message,
            **(more or {}),
        }
        sys.stderr.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stderr.flush()
