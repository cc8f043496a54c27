"""Pictures are read, hashed and decoded in processes of their own, since decoding holds Python's lock."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from PIL import Image

from .errors import PictureError
from .images import MAX_PIXELS, checked, read, sha256

CPU_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Task:
    """The pictures of one product: where they are, and the joint digest that needs no decoding because
    it is known."""

    references: tuple[str | Path, ...]
    known: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """The joint digest of a product's pictures, and their bytes for the encoder: none where the digest
    is known."""

    digest: str
    pictures: tuple[bytes, ...]


class _SlowError(Exception):
    pass


def prepare(task: Task, root: Path, limit: Callable[[], None] | None = None) -> Prepared | PictureError:
    """Read and check the pictures of one product; the first that cannot be used decides."""
    try:
        found = [
            reference.read_bytes() if isinstance(reference, Path) else read(reference, root)
            for reference in task.references
        ]
        digest = joint(sha256(data) for data in found)
        if digest == task.known:
            return Prepared(digest, ())
        pictures = []
        for data in found:
            if limit is not None:
                limit()
            pictures.append(checked(data))
        return Prepared(digest, tuple(pictures))
    except PictureError as error:
        return error
    except _SlowError:
        return PictureError(
            "too_slow", f"expected a picture that decodes in {CPU_SECONDS:.1f} s, got a slower one"
        )


def joint(digests: Iterator[str] | Sequence[str]) -> str:
    """One digest for a product's pictures in their order: that of the picture itself when there is one."""
    several = list(digests)
    return several[0][:32] if len(several) == 1 else sha256("".join(several).encode())[:32]


class Decoders:
    """Worker processes. A list of tasks goes in, a ticket comes out, and the ticket gives one result a task.

    A worker that dies costs the picture that killed it, and nothing else. The first processes are
    started at once, so that they are there when the first pictures are.
    """

    def __init__(self, root: Path, processes: int) -> None:
        self._root = root
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()
        if processes:
            self._start().submit(_work, [])

    def submit(self, tasks: list[Task]) -> Ticket:
        if not tasks or not self._processes:
            return Ticket(tasks, None, None)
        with self._lock:
            pool = self._pool or self._start()
            try:
                return Ticket(tasks, pool, pool.submit(_work, tasks))
            except BrokenProcessPool:
                return Ticket(tasks, pool, _broken())

    def result(self, ticket: Ticket) -> list[Prepared | PictureError]:
        if ticket.future is None:
            return [prepare(task, self._root) for task in ticket.tasks]
        try:
            return ticket.future.result()
        except BrokenProcessPool:
            self._drop(ticket.pool)
        return [self._alone(task) for task in ticket.tasks]

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        # Not forked: gRPC's threads do not survive a fork.
        self._pool = ProcessPoolExecutor(
            self._processes, multiprocessing.get_context("spawn"), _begin, (self._root,)
        )
        return self._pool

    def _alone(self, task: Task) -> Prepared | PictureError:
        """One task in a pool of its own, so that the picture that kills its worker is found out."""
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin, (self._root,)) as pool:
            try:
                return pool.submit(_work, [task]).result()[0]
            except BrokenProcessPool:
                return PictureError(
                    "kills_decoder", "expected a picture that decodes, got one that ends the decoder"
                )

    def _drop(self, pool: ProcessPoolExecutor | None) -> None:
        with self._lock:
            if self._pool is pool:
                self._pool = None


@dataclass(frozen=True, slots=True)
class Ticket:
    tasks: list[Task]
    pool: ProcessPoolExecutor | None
    future: Future[list[Prepared | PictureError]] | None


def _broken() -> Future[list[Prepared | PictureError]]:
    future: Future[list[Prepared | PictureError]] = Future()
    future.set_exception(BrokenProcessPool())
    return future


_root = Path()


def _begin(root: Path) -> None:
    """In a worker: remember the root, limit what a picture may take, and end with the parent."""
    global _root
    _root = root
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, _slow)
    # Pillow refuses twice this many; it also checks frames that claim to be larger than their picture.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _slow(signum: int, frame: FrameType | None) -> None:
    raise _SlowError


def _limit() -> None:
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)


def _work(tasks: list[Task]) -> list[Prepared | PictureError]:
    results = []
    for task in tasks:
        try:
            results.append(prepare(task, _root, _limit))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    return results
