"""Images are read and hashed in threads, and decoded in processes, because decoding holds the GIL.

The pool is our own. Workers of loky survive a killed parent, and its helpers import modules of the working
directory. Workers of pebble and multiprocessing share locks, which a dying worker may keep, and run the
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
    """Return half of the CPUs, at least one. The others are for the servers and this process."""
    return max(1, (os.cpu_count() or 2) // 2)


@dataclass(frozen=True, slots=True)
class Ticket:
    tasks: Sequence[Task]
    future: Future[list[Result]] | None


class DecoderPool:
    """Pool of decoder processes: submit a list of tasks, get a ticket, and read one result per task from it.

    If a process dies, only the image that caused it is lost. Processes are started on demand, when images
    must be decoded and all processes are busy; catalogs of texts or small plain images need none. With zero
    processes, images are decoded in the thread that reads the ticket. Tickets must be requested from one
    thread.
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
        """Return one result per task. Raise IngestError when the processes do not start."""
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
        """Run in a thread of the pool: handle tasks without decoding here, the others in a process."""
        told = [at_once(task, self._root) for task in tasks]
        left = [task for task, result in zip(tasks, told, strict=True) if result is None]
        decoded = iter(self._decode(left) if left else ())
        return [result or next(decoded) for result in told]

    def _decode(self, tasks: Sequence[Task]) -> list[Result]:
        """Run the tasks in one process and replace it if it dies. There are at most as many processes as
        threads.
        """
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
                            "kills_decoder",
                            "expected a picture that decodes, got one that crashes the decoder",
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

    It sends an empty list when it is ready, and then one list per list that it receives.
    """

    def __init__(self, root: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C is handled by the parent, which closes the pipe when it is done.
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
        """Raise EOFError when the process dies of the tasks, IngestError when it never started."""
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
            # A process that is still starting would print a traceback about its closed pipe.
            self._process.kill()
        for pipe in (self._questions, self._answers):
            # Unwritten data for a dead process can be discarded.
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
