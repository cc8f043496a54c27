"""The end of an ingesting command: a summary, an error message or a signal. With `--json`, it always prints
one JSON object."""

from __future__ import annotations

import json
import logging
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from mmsearch.cli.in_container import fitted
from mmsearch.errors import MmsearchError, StoppedError
from mmsearch.ingest.reporting.losses import REJECTED, examples
from mmsearch.ingest.reporting.progress import IngestProgress
from mmsearch.ingest.reporting.stats import Report, Stats

SIGNALS = (signal.SIGTERM, signal.SIGHUP)
"""what ends a run in order, besides a key; a supervisor and a closed terminal send them"""


HEADER = "--fetch-header"


class SignalError(KeyboardInterrupt):
    """A signal that asks the process to stop. Like Ctrl-C, it is not an error."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.name = signal.Signals(number).name


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Context manager: SIGTERM and SIGHUP raise SignalError in the main thread, so files are completed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        # A second signal is ignored, because the process is already stopping.
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise SignalError(number)

    before = {each: signal.getsignal(each) for each in SIGNALS}
    for each in SIGNALS:
        # Signals that were ignored, as under nohup, stay ignored.
        if before[each] is not signal.SIG_IGN:
            signal.signal(each, handle)
    try:
        yield
    finally:
        for each, was in before.items():
            signal.signal(each, was)


class Ending:
    """The current state of a run, for the summary of a failed run."""

    def __init__(self, *, as_json: bool) -> None:
        self.stats = Stats()
        self.bottleneck = ""
        self._as_json = as_json

    def watch(self, run: IngestProgress) -> None:
        """Store the current state."""
        self.stats, self.bottleneck = run.stats, run.bottleneck()

    def failed(self, error: str) -> None:
        """Print the `--json` object of a failed run, once."""
        if self._as_json:
            self._as_json = False
            click.echo(json.dumps(self.stats.report(self.bottleneck, fitted(error)).summary()))


@contextmanager
def ending(*, as_json: bool) -> Iterator[Ending]:
    """Context manager: print the `--json` object of a failure, then raise it again."""
    live = Ending(as_json=as_json)
    try:
        yield live
    except KeyboardInterrupt as stop:
        error: Exception = stopped(stop, again())
        live.failed(str(error))
        raise error from None
    except MmsearchError as error:
        live.failed(error.sentence())
        raise
    except (click.ClickException, click.exceptions.Exit):
        raise
    except Exception as error:
        live.failed(f"{type(error).__name__}: {error}")
        raise


@contextmanager
def messages(say: Callable[[str], None]) -> Iterator[None]:
    """Context manager: pass the library's log messages for users to `say`, such as waiting for a server."""

    class Said(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(fitted(record.getMessage()))

    logger, handler = logging.getLogger("mmsearch"), Said(logging.WARNING)
    logger.addHandler(handler)
    # A library that logs may have given the root a handler, which would print the line once more.
    propagated, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.propagate = propagated
        logger.removeHandler(handler)


def say(line: str) -> None:
    """Print a message on stderr."""
    click.echo(f"mmsearch: {line}", err=True)


def stopped(stop: KeyboardInterrupt, resume: str) -> StoppedError:
    """Return the message for Ctrl-C or a signal."""
    by = stop.name if isinstance(stop, SignalError) else "a key"
    return StoppedError(f"stopped by {by}; indexed products remain, continue with: {resume}")


def again() -> str:
    """Return the command line to continue with, without the values of headers, which may be secret."""
    words: list[str] = []
    for word in sys.argv[1:]:
        name, sign, value = word.partition("=")
        if words and words[-1] == HEADER and not word.startswith("@"):
            word = "NAME: VALUE"
        elif name == HEADER and sign and not value.startswith("@"):
            word = f"{HEADER}=NAME: VALUE"
        words.append(word)
    return shlex.join(["mmsearch", *words])


def would(report: Report) -> str:
    """Return the sentence on what a run would do."""
    gone = f", delete {report.deleted}" if report.deleted else ""
    changed = report.indexed - report.unchanged - report.encoded
    return (
        f"nothing was stored; a run would encode {report.encoded}, update {changed}{gone} and leave "
        f"{report.unchanged} as they are"
    )


def finish(
    report: Report, rejects: Path, *, as_json: bool, log_json: bool = False, shown: bool = False
) -> NoReturn:
    """Print the reasons for losses unless already `shown`, the path of the rejects, and the summary, and exit
    with the exit code.
    """
    if not log_json:
        for line in () if shown else examples(report.losses):
            click.echo(f"mmsearch: {line}", err=True)
        if any(loss.kind == REJECTED for loss in report.losses):
            click.echo(
                fitted(
                    f"mmsearch: {report.rejected} rejected, listed in {rejects}; fix them there and run: "
                    f"mmsearch retry {shlex.quote(str(rejects))}"
                ),
                err=True,
            )
    click.echo(json.dumps(report.summary()) if as_json else report.sentence())
    raise SystemExit(report.exit_code)
