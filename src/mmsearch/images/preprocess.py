"""Pictures of products are read, hashed and checked: at once where nothing is to be decoded, or in a process.

A decoder process is started as a program of its own and speaks pickles over its pipes, so that nothing of
the parent's main module is imported again, and so that it ends when the parent does, however that ends.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from PIL import Image

from mmsearch.errors import PictureError
from mmsearch.images.decode import checked, goes_as_it_is
from mmsearch.images.limits import AS_IT_IS_BYTES, MAX_PIXELS
from mmsearch.images.references import read, sha256

CPU_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Task:
    """The pictures of one product, as references or as files of ours, and the joint digest that is known."""

    references: tuple[str | Path, ...]
    known: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """The joint digest of a product's pictures, and their bytes for the encoder: none where it is known."""

    digest: str
    pictures: tuple[bytes, ...]


Result = Prepared | PictureError


class _SlowError(Exception):
    pass


def at_once(task: Task, root: Path) -> Prepared | None:
    """The pictures of one product where none has to be decoded: known ones, and small ones that go to the
    encoder as they are.

    None for all others, broken ones too: a decoder process then says what they are.
    """
    try:
        found = [_small(reference, root) for reference in task.references]
        digest = joint(sha256(data) for data in found)
        if digest == task.known:
            return Prepared(digest, ())
        return Prepared(digest, tuple(found)) if all(map(goes_as_it_is, found)) else None
    except (PictureError, OSError):
        return None


def _small(reference: str | Path, root: Path) -> bytes:
    if isinstance(reference, str):
        return read(reference, root, AS_IT_IS_BYTES)
    if reference.stat().st_size > AS_IT_IS_BYTES:
        raise PictureError("too_large", "expected a picture that may go as it is, got a larger one")
    return reference.read_bytes()


def prepare(task: Task, root: Path, limit: Callable[[], None] | None = None) -> Result:
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


def guarded(tasks: Sequence[Task], root: Path) -> list[Result]:
    """`prepare` for each task, with a limit on the processor time that a picture may take."""
    results: list[Result] = []
    for task in tasks:
        try:
            results.append(prepare(task, root, _limit))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    return results


def set_limits() -> None:
    """For a whole process: what a picture may take of it."""
    signal.signal(signal.SIGPROF, _slow)
    # Pillow refuses twice this many; it also checks frames that claim to be larger than their picture.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2


def main() -> None:
    """Answer each list of tasks on stdin by a list of results on stdout, until stdin ends."""
    root = Path(sys.argv[1])
    # Whatever a library prints must not fall between two answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    set_limits()
    try:
        _answer(answers, [])
        while True:
            try:
                tasks: list[Task] = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the parent alone
            except EOFError:
                return
            _answer(answers, guarded(tasks, root))
    except BrokenPipeError:
        # The run ended without us, as one of few products does; at the exit the pipe would be flushed again.
        os._exit(0)


def _answer(answers: object, results: list[Result]) -> None:
    pickle.dump(results, answers, protocol=pickle.HIGHEST_PROTOCOL)  # type: ignore[arg-type]
    answers.flush()  # type: ignore[attr-defined]


def _slow(signum: int, frame: FrameType | None) -> None:
    raise _SlowError


def _limit() -> None:
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
