"""Stages in threads: each reads from one channel and writes to the next. The first failure stops all of
them.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

from mmsearch.ingest.pipeline.channel import AbortedError, Channel

LAST_SECONDS = 5.0
"""seconds that the stages have to finish when a key or a signal stops the run"""


class Flow:
    """Starts stages and waits for all of them. A stage closes its channel by returning."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._channels: list[Channel[Any]] = []
        self._threads: list[threading.Thread] = []
        self._failure: BaseException | None = None
        self._lock = threading.Lock()

    def stage(self, name: str, work: Callable[[], None], *outputs: Channel[Any], workers: int = 1) -> None:
        """Run `work` in `workers` threads. An output ends when the last thread that writes to it returns."""
        for output in outputs:
            output.opened(workers)
            self._channels.append(output)
        for number in range(workers):
            # Run in a copy of this context, so that spans of the stage are children of the current span.
            context = contextvars.copy_context()
            arguments = (self._run, work, outputs)
            self._threads.append(
                threading.Thread(target=context.run, args=arguments, name=f"{name}-{number}", daemon=True)
            )

    def run(self, every: float = 0.2, watch: Callable[[], None] | None = None) -> None:
        """Start all stages and wait for them, calling `watch` periodically. Raise the exception of the first
        failure.
        """
        for thread in self._threads:
            thread.start()
        try:
            for thread in self._threads:
                while thread.is_alive():
                    thread.join(every)
                    if watch is not None:
                        watch()
        except BaseException as error:  # a key press, or `watch` itself
            self.fail(error)
            # The limit applies to all threads together, since a supervisor that stops the process waits no
            # longer.
            until = time.monotonic() + LAST_SECONDS
            for thread in self._threads:
                thread.join(max(0.0, until - time.monotonic()))
        if self._failure is not None:
            raise self._failure

    def fail(self, error: BaseException) -> None:
        with self._lock:
            if self._failure is None:
                self._failure = error
        self.stopped.set()
        for channel in self._channels:
            channel.abort()

    def _run(self, work: Callable[[], None], outputs: tuple[Channel[Any], ...]) -> None:
        try:
            work()
        except AbortedError:
            return
        except BaseException as error:
            self.fail(error)
        finally:
            for output in outputs:
                output.close()
