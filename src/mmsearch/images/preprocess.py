"""Read, hash and check the images of products: inline if no decoding is needed, otherwise in a decoder
process.

A decoder process is a separate program that exchanges pickles over pipes. It does not import the main module
of the parent again, and it ends when the parent ends for any reason.
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
    """The images of one product, as references or as our own files, and their joint digest if known."""

    references: tuple[str | Path, ...]
    known: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """The joint digest of a product's images, and their bytes for the encoder; no bytes if the digest is
    known.
    """

    digest: str
    pictures: tuple[bytes, ...]


Result = Prepared | PictureError


class _SlowError(Exception):
    pass


def at_once(task: Task, root: Path) -> Prepared | None:
    """Prepare the images of a product if none has to be decoded: known ones, and small plain ones.

    Return None for all others, including broken ones; a decoder process then reports the error.
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
    """Read and check the images of one product. The first invalid image determines the error."""
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
    """Return one digest for a product's images in order; for a single image it is its own digest."""
    several = list(digests)
    return several[0][:32] if len(several) == 1 else sha256("".join(several).encode())[:32]


def guarded(tasks: Sequence[Task], root: Path) -> list[Result]:
    """Run `prepare` for each task, with a CPU time limit per image."""
    results: list[Result] = []
    for task in tasks:
        try:
            results.append(prepare(task, root, _limit))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    return results


def set_limits() -> None:
    """Set the resource limits of the whole process for decoding."""
    signal.signal(signal.SIGPROF, _slow)
    # Pillow raises an error at twice this value; it also checks frames that claim to be larger than the
    # image.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2


def main() -> None:
    """Read lists of tasks from stdin and write lists of results to stdout, until stdin ends."""
    root = Path(sys.argv[1])
    # Output printed by a library must not corrupt the stream of results.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Libraries write their complaints about damaged files to the terminal; they come back as results.
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
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
        # The parent has closed the pipe, as after a short run; the flush at exit would fail again.
        os._exit(0)


def _answer(answers: object, results: list[Result]) -> None:
    pickle.dump(results, answers, protocol=pickle.HIGHEST_PROTOCOL)  # type: ignore[arg-type]
    answers.flush()  # type: ignore[attr-defined]


def _slow(signum: int, frame: FrameType | None) -> None:
    raise _SlowError


def _limit() -> None:
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
