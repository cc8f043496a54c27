"""Images are read and hashed in threads, and decoded in processes, because decoding holds the GIL.

The pool is our own. Workers of loky survive a killed parent, and its helpers import modules of the working
directory. Workers of pebble and multiprocessing share locks, which a dying worker may keep, and run the
parent's main module again.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from mmsearch.errors import IngestError, PictureError
from mmsearch.images.idle_cores import INTERVAL, IdleCores, usable_cores
from mmsearch.images.preprocess import Result, Task, prepare, unchanged
from mmsearch.serving.pictures.pixels import Frame

PROGRAM = "from mmsearch.images.preprocess import main; main()"
MOST = 64
"""processes"""
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""NumPy's threads would spin on the cores of the other processes"""
PART = 8
"""products that a process decodes at a time; a list of more is shared by several processes"""


@dataclass(frozen=True, slots=True)
class Ticket:
    tasks: Sequence[Task]
    parts: Sequence[Future[list[Result]]]


class DecoderPool:
    """Pool of decoder processes: submit a list of tasks, get a ticket, and read one result per task from it.

    With `processes` None there are as many as half of the usable cores, and more as long as images wait and
    cores are idle, up to all of them. Processes are started on demand; unchanged images and texts need none.
    An additional process takes no image before it is ready. With zero processes, images are decoded in the
    thread that reads the ticket. If a process dies, only the image that caused it is lost. `frame` is that of
    the picture tower, None for a model set without one. Tickets must be requested from one thread.
    """

    def __init__(
        self,
        root: Path,
        frame: Frame | None,
        processes: int | None = None,
        cores: IdleCores | None = None,
    ) -> None:
        self._root = root
        self._frame = frame
        usable = min(MOST, usable_cores())
        self._first = max(1, usable // 2) if processes is None else processes
        self.most = usable if processes is None else processes
        self._cores = cores or IdleCores()
        self._idle: list[Process] = []
        self._starting: dict[Process, threading.Thread] = {}
        self._failure: IngestError | None = None
        self._started = 0
        self._returned = threading.Condition()
        self._turns: deque[object] = deque()
        self._pool = ThreadPoolExecutor(self.most, thread_name_prefix="decode") if self.most else None

    @property
    def started(self) -> int:
        """Return the number of decoder processes."""
        return self._started

    def warm_up(self) -> None:
        """Start the first process before the first image is submitted."""
        with self._returned:
            if self._frame is not None and self.most and not self._started:
                self._start(self._frame)

    def submit(self, tasks: Sequence[Task]) -> Ticket:
        if self._pool is None:
            return Ticket(tasks, ())
        starts = range(0, len(tasks), PART)
        return Ticket(tasks, [self._pool.submit(self._run, tasks[at : at + PART]) for at in starts])

    def result(self, ticket: Ticket) -> list[Result]:
        """Return one result per task. Raise IngestError when the processes do not start."""
        if self._pool is None:
            return [prepare(task, self._root, self._frame) for task in ticket.tasks]
        return [result for part in ticket.parts for result in part.result()]

    def close(self) -> None:
        """End the processes. A second call does nothing."""
        if self._pool is None:
            return
        self._pool.shutdown(wait=True, cancel_futures=True)
        with self._returned:
            starting = dict(self._starting)
        for process, thread in starting.items():
            # Its thread reads the pipe, which nobody else may close.
            process.kill()
            thread.join()
        while idle := self._one_idle():
            idle.end()

    def _one_idle(self) -> Process | None:
        with self._returned:
            return self._idle.pop() if self._idle else None

    def _run(self, tasks: Sequence[Task]) -> list[Result]:
        """Run in a thread of the pool: handle unchanged images here, the others in a process."""
        if self._frame is None:
            return [prepare(task, self._root, None) for task in tasks]
        known = [unchanged(task, self._root) for task in tasks]
        left = [task for task, result in zip(tasks, known, strict=True) if result is None]
        decoded = iter(self._decode(left, self._frame) if left else ())
        return [result or next(decoded) for result in known]

    def _decode(self, tasks: Sequence[Task], frame: Frame) -> list[Result]:
        """Run the tasks in one process and replace it if it dies."""
        process = self._taken(frame)
        try:
            try:
                return process.ask(tasks)
            except EOFError:
                results: list[Result] = []
            for task in tasks:
                if not process.alive:
                    process.end()
                    process = Process(self._root, frame)
                try:
                    results += process.ask([task])
                except EOFError:
                    results.append(
                        PictureError(
                            "kills_decoder",
                            "expected a picture that decodes, got one that crashes the decoder",
                        )
                    )
            return results
        finally:
            if not process.alive:
                process.end()
                process = Process(self._root, frame)
            with self._returned:
                self._idle.append(process)
                self._returned.notify_all()

    def _taken(self, frame: Frame) -> Process:
        """Wait in turn for an idle process, and start another one where it may. Raise IngestError if one does
        not start.

        Without turns, a thread that returns a process would take it again for a later part, while results
        are read in order.
        """
        turn = object()
        with self._returned:
            self._turns.append(turn)
            try:
                while not self._idle or self._turns[0] is not turn:
                    if self._failure:
                        raise self._failure
                    if not self._idle and self._may_start():
                        self._start(frame)
                    self._returned.wait(INTERVAL)
                return self._idle.pop()
            finally:
                self._turns.remove(turn)
                self._returned.notify_all()

    def _may_start(self) -> bool:
        return self._started < self._first or (self._started < self.most and self._cores.take())

    def _start(self, frame: Frame) -> None:
        """Start a process that is idle as soon as it is ready. The caller holds the lock."""
        self._started += 1
        process = Process(self._root, frame)
        self._starting[process] = threading.Thread(target=self._await_start, args=(process,), daemon=True)
        self._starting[process].start()

    def _await_start(self, process: Process) -> None:
        failure = None
        try:
            process.begin()
        except IngestError as error:
            failure = error
            process.end()
        with self._returned:
            del self._starting[process]
            self._failure = self._failure or failure
            if not failure:
                self._idle.append(process)
            self._returned.notify_all()


class Process:
    """One decoder process.

    It sends an empty list when it is ready, and then one list per list that it receives.
    """

    def __init__(self, root: Path, frame: Frame) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM, str(root), frame.parameter()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C is handled by the parent, which closes the pipe when it is done.
            start_new_session=True,
            env=os.environ | ONE_THREAD,
        )
        self._questions = cast(BinaryIO, self._process.stdin)
        self._answers = cast(BinaryIO, self._process.stdout)
        self._ready = False
        self._broken = False

    @property
    def alive(self) -> bool:
        return not self._broken and self._process.poll() is None

    def ask(self, tasks: Sequence[Task]) -> list[Result]:
        """Raise EOFError when the process dies of the tasks, IngestError when it never started."""
        if not self._ready:
            self.begin()
        try:
            pickle.dump(list(tasks), self._questions, protocol=pickle.HIGHEST_PROTOCOL)
            self._questions.flush()
            return self._answer()
        except (BrokenPipeError, EOFError, pickle.UnpicklingError):
            self._broken = True
            raise EOFError from None

    def kill(self) -> None:
        """End it at once. A thread that waits for its answer gets an error."""
        self._process.kill()

    def end(self) -> None:
        if not self._ready:
            # A process that is still starting would print a traceback about its closed pipe.
            self.kill()
        for pipe in (self._questions, self._answers):
            # Unwritten data for a dead process can be discarded.
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def begin(self) -> None:
        """Wait until it is ready. Raise IngestError when it does not start."""
        try:
            self._answer()
        except (EOFError, pickle.UnpicklingError):
            raise IngestError(
                f"expected a decoder process to start, got exit code {self._process.wait()}; see its message "
                "above, or decode in this process by --processes 0"
            ) from None
        self._ready = True

    def _answer(self) -> list[Result]:
        found: list[Result] = pickle.load(self._answers)  # noqa: S301 - from our own program
        return found
