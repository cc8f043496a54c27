"""Pictures are read and hashed in threads, and decoded in processes, since decoding holds Python's lock.

The processes are our own. loky's outlive a parent that is killed, and its helpers import modules of the
working directory. Those of pebble and multiprocessing share locks, which one that dies may keep, and run the
parent's main module again.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from mmsearch.errors import IngestError, PictureError
from mmsearch.images.preprocess import Result, Task, at_once, prepare

PROGRAM = "from mmsearch.images.preprocess import main; main()"


def default_processes() -> int:
    """Half of the processors, at least one: the others are for the servers and for this process."""
    return max(1, (os.cpu_count() or 2) // 2)


@dataclass(frozen=True, slots=True)
class Ticket:
    tasks: Sequence[Task]
    future: Future[list[Result]] | None


class DecoderPool:
    """A list of tasks goes in, a ticket comes out, and the ticket gives one result a task.

    A process that dies costs the picture that killed it, and nothing else. A process is started when there
    is something to decode and all are busy: a catalog of texts, or of small plain pictures, does without.
    With no processes the pictures are decoded where the ticket is read. Tickets are for one thread to ask
    for.
    """

    def __init__(self, root: Path, processes: int) -> None:
        self._root = root
        self._idle: queue.SimpleQueue[Process] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(processes, thread_name_prefix="decode") if processes else None

    def submit(self, tasks: Sequence[Task]) -> Ticket:
        if not tasks or self._pool is None:
            return Ticket(tasks, None)
        return Ticket(tasks, self._pool.submit(self._run, tasks))

    def result(self, ticket: Ticket) -> list[Result]:
        """One result a task. Raises IngestError when the processes do not start."""
        if ticket.future is None:
            return [prepare(task, self._root) for task in ticket.tasks]
        return ticket.future.result()

    def close(self) -> None:
        if self._pool is None:
            return
        self._pool.shutdown(wait=True, cancel_futures=True)
        while not self._idle.empty():
            self._idle.get().end()

    def _run(self, tasks: Sequence[Task]) -> list[Result]:
        """In a thread of the pool: what can be told at once, and the others by a process."""
        told = [at_once(task, self._root) for task in tasks]
        left = [task for task, result in zip(tasks, told, strict=True) if result is None]
        decoded = iter(self._decode(left) if left else ())
        return [result or next(decoded) for result in told]

    def _decode(self, tasks: Sequence[Task]) -> list[Result]:
        """One process for these tasks, and new ones where it dies; there are as many as threads at most."""
        try:
            process = self._idle.get_nowait()
        except queue.Empty:
            process = Process(self._root)
        try:
            try:
                return process.ask(tasks)
            except EOFError:
                results: list[Result] = []
            for task in tasks:
                if not process.alive:
                    process.end()
                    process = Process(self._root)
                try:
                    results += process.ask([task])
                except EOFError:
                    results.append(
                        PictureError(
                            "kills_decoder", "expected a picture that decodes, got one that ends the decoder"
                        )
                    )
            return results
        finally:
            if not process.alive:
                process.end()
                process = Process(self._root)
            self._idle.put(process)


class Process:
    """One decoder process.

    It says an empty list when it is ready, and then one list for each that it is given.
    """

    def __init__(self, root: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A key press is for the parent, which ends the pipe when it is done.
            start_new_session=True,
        )
        self._questions = cast(BinaryIO, self._process.stdin)
        self._answers = cast(BinaryIO, self._process.stdout)
        self._ready = False
        self._broken = False

    @property
    def alive(self) -> bool:
        return not self._broken and self._process.poll() is None

    def ask(self, tasks: Sequence[Task]) -> list[Result]:
        """Raises EOFError when the process dies of it, IngestError when it never started."""
        if not self._ready:
            self._begin()
        try:
            pickle.dump(list(tasks), self._questions, protocol=pickle.HIGHEST_PROTOCOL)
            self._questions.flush()
            return self._answer()
        except (BrokenPipeError, EOFError, pickle.UnpicklingError):
            self._broken = True
            raise EOFError from None

    def end(self) -> None:
        if not self._ready:
            # It would find its pipe closed while it starts, and say so in a traceback.
            self._process.kill()
        for pipe in (self._questions, self._answers):
            # What was still to be written to a dead process is of no use any more.
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _begin(self) -> None:
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
