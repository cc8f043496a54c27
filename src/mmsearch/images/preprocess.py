"""Read and hash the images of products, and decode those that changed to pixels, in a decoder process.

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
from mmsearch.images.decode import pixels
from mmsearch.images.limits import MAX_PIXELS
from mmsearch.images.references import read, sha256
from mmsearch.serving.pictures.pixels import Frame, packed, read_parameter

CPU_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Task:
    """The images of one product, as references or as our own files, and their joint digest if known."""

    references: tuple[str | Path, ...]
    known: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """The joint digest of a product's images, and their pixels as the encoder takes them; no pixels if the
    digest is known.
    """

    digest: str
    pictures: tuple[bytes, ...]


Result = Prepared | PictureError


class _SlowError(Exception):
    pass


def unchanged(task: Task, root: Path) -> Prepared | None:
    """Return the result for images whose digest is known, without decoding any.

    Return None for all others, including broken ones; `prepare` then reports the error.
    """
    if not task.known:
        return None
    try:
        digest = joint(sha256(data) for data in _files(task, root))
    except (PictureError, OSError):
        return None
    return Prepared(digest, ()) if digest == task.known else None


def prepare(task: Task, root: Path, frame: Frame | None, limit: Callable[[], None] | None = None) -> Result:
    """Read and decode the images of one product for a tower of this frame; None is a model set without a
    picture tower, which takes no image. The first invalid image determines the error.
    """
    try:
        found = list(_files(task, root))
        digest = joint(map(sha256, found))
        if digest == task.known:
            return Prepared(digest, ())
        if frame is None:
            raise PictureError(
                "no_picture_tower",
                "expected text alone, since the served model set has no picture tower, got a picture; "
                "serve an architecture with one",
            )
        pictures = []
        for data in found:
            if limit is not None:
                limit()
            pictures.append(packed(pixels(data, frame), frame))
        return Prepared(digest, tuple(pictures))
    except PictureError as error:
        return error
    except _SlowError:
        return PictureError(
            "too_slow", f"expected a picture that decodes in {CPU_SECONDS:.1f} s, got a slower one"
        )


def _files(task: Task, root: Path) -> Iterator[bytes]:
    for reference in task.references:
        yield reference.read_bytes() if isinstance(reference, Path) else read(reference, root)


def joint(digests: Iterator[str] | Sequence[str]) -> str:
    """Return one digest for a product's images in order; for a single image it is its own digest."""
    several = list(digests)
    return several[0][:32] if len(several) == 1 else sha256("".join(several).encode())[:32]


def guarded(tasks: Sequence[Task], root: Path, frame: Frame | None) -> list[Result]:
    """Run `prepare` for each task, with a CPU time limit per image."""
    results: list[Result] = []
    for task in tasks:
        try:
            results.append(prepare(task, root, frame, _limit))
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
    root, frame = Path(sys.argv[1]), read_parameter(sys.argv[2])
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
            _answer(answers, guarded(tasks, root, frame))
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
