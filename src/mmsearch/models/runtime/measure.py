"""Measure a tower's file in each runtime: time, and cosines to onnxruntime on the same file.

Throughput is processor time, which other programs on the machine disturb little; latency is elapsed time.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmsearch.models.runtime import samples
from mmsearch.models.runtime.record import PICTURE, QUERY
from mmsearch.serving import runtime
from mmsearch.serving.microbatch import Microbatches
from mmsearch.serving.opening import opened
from mmsearch.serving.runtime import Choice
from mmsearch.serving.tokens import Tokens

Floats = NDArray[np.float32]
Feeds = Mapping[str, NDArray[Any]]
FEATURES = ["FEATURES"]
PRODUCTS, TITLES, QUERIES, PICTURES = 16, 64, 32, 16
REPEATS = 2
LONE_QUERIES = 40
DEPTH = 10


@dataclass(frozen=True, slots=True)
class Tower:
    """A served file with what it reads: token ids by `tokens`, or pictures of `size` pixels.

    `role` is query, item or picture; `default` is the choice before any measurement.
    """

    file: Path
    role: str
    default: Choice
    tokens: Tokens | None = None
    size: int = 0

    def feed(self, texts: Sequence[str]) -> Feeds:
        """Return the inputs of a text tower for n texts, int64 [n, longest] each."""
        if self.tokens is None:
            raise ValueError("expected a text tower, got one that reads pictures; feed it pixels")
        return dict(zip(("INPUT_IDS", "ATTENTION_MASK"), self.tokens(texts), strict=True))


@dataclass(frozen=True, slots=True)
class Figures:
    """A measured choice. Cosines are those to onnxruntime on the same file, `overlap` the share of each
    query's (or picture's) ten nearest that both give; `milliseconds` is processor time of a row, or the
    elapsed time of a lone query.
    """

    choice: Choice
    milliseconds: float
    cosine_mean: float
    cosine_median: float
    cosine_lowest: float
    overlap: float


def candidates(tower: Tower, bf16: bool) -> Iterator[Choice]:
    """Yield the choices that this machine can run, the default first."""
    yield tower.default
    if importlib.util.find_spec("openvino") is None:
        return
    kinds = ("int8",) if tower.default.precision == "int8" else ("bf16", "fp32") if bf16 else ("fp32",)
    for precision in kinds:
        yield replace(tower.default, runtime=runtime.OPENVINO, precision=precision)


def compare(tower: Tower, choices: Sequence[Choice]) -> list[Figures]:
    """Measure the choices in turns on the same inputs. The first one is the reference of the cosines."""
    sessions = [opened(tower.file, choice, workers=1) for choice in choices]
    runners = [Microbatches(session, choice, 1) for session, choice in zip(sessions, choices, strict=True)]
    feeds = _feeds(tower)
    vectors = [[_unit(runner.run(FEATURES, feed)[0]) for feed in feeds] for runner in runners]
    times = _in_turns([_timed(tower, runner, feeds[0]) for runner in runners])
    exact = vectors[0]
    found = []
    for choice, spent, got in zip(choices, times, vectors, strict=True):
        cosines = np.concatenate([(a * b).sum(1) for a, b in zip(exact, got, strict=True)])
        found.append(
            Figures(
                choice,
                round(spent * 1e3, 3),
                round(float(cosines.mean()), 6),
                round(float(np.median(cosines)), 6),
                round(float(cosines.min()), 6),
                round(_overlap(tower, exact, got), 4),
            )
        )
    return found


def best_rows(tower: Tower, choice: Choice, sizes: Sequence[int]) -> tuple[int, dict[int, float]]:
    """Return the rows of a slice with the least processor time, a smaller one where it takes at most 3 %
    more, and the milliseconds of a row by size.
    """
    session = opened(tower.file, choice, workers=1)
    feeds = _feeds(tower)[0]
    runners = [Microbatches(session, replace(choice, most=size), 1) for size in sizes]
    times = _in_turns([_timed(tower, runner, feeds) for runner in runners])
    best = next(size for size, spent in zip(sizes, times, strict=True) if spent <= 1.03 * min(times))
    return best, {size: round(spent * 1e3, 3) for size, spent in zip(sizes, times, strict=True)}


def best_threads(tower: Tower, choice: Choice, counts: Sequence[int]) -> tuple[int, dict[int, float]]:
    """Return the threads of a slice, and the elapsed milliseconds of a row by them. More than one must save a
    third, since threads of one slice wait for each other as soon as other slices run.
    """
    feeds = _feeds(tower)[0]
    runs = []
    for count in counts:
        asked = replace(choice, threads=count)
        runs.append(_elapsed(tower, Microbatches(opened(tower.file, asked), asked), feeds))
    times = _in_turns(runs)
    best = counts[0]
    for count, spent in zip(counts, times, strict=True):
        if spent < 2 / 3 * times[counts.index(best)]:
            best = count
    return best, {count: round(spent * 1e3, 3) for count, spent in zip(counts, times, strict=True)}


def _feeds(tower: Tower) -> list[Feeds]:
    if tower.role == PICTURE:
        return [{"PIXELS": samples.pictures(PICTURES, tower.size)}]
    titles = [text.partition(".")[0] for text in samples.products(TITLES)]
    # A query tower encodes no products; the first feed is what is timed.
    timed = samples.queries(QUERIES) if tower.role == QUERY else samples.products(PRODUCTS)
    return [tower.feed(timed), tower.feed(titles), tower.feed(samples.queries(QUERIES))]


def _timed(tower: Tower, runner: Microbatches, feeds: Feeds) -> Callable[[], float]:
    if tower.role == QUERY:
        return _elapsed(tower, runner, feeds)

    def once() -> float:
        started = time.process_time()
        runner.run(FEATURES, feeds)
        return (time.process_time() - started) / len(next(iter(feeds.values())))

    return once


def _elapsed(tower: Tower, runner: Microbatches, feeds: Feeds) -> Callable[[], float]:
    """Return a measurement of the elapsed seconds: the median of lone queries, or a whole batch by row."""
    lone = tower.feed(["red wooden chair with arms"]) if tower.role == QUERY else None

    def once() -> float:
        if lone is None:
            started = time.perf_counter()
            runner.run(FEATURES, feeds)
            return (time.perf_counter() - started) / len(next(iter(feeds.values())))
        spent = []
        for _ in range(LONE_QUERIES):
            started = time.perf_counter()
            runner.run(FEATURES, lone)
            spent.append(time.perf_counter() - started)
        return float(np.median(spent))

    return once


def _in_turns(runs: Sequence[Callable[[], float]]) -> list[float]:
    """Return the least of `REPEATS` measurements of each, taken in turns."""
    rounds = [[run() for run in runs] for _ in range(REPEATS)]
    return [min(times) for times in zip(*rounds, strict=True)]


def _unit(vectors: Floats) -> Floats:
    found: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
    return found


def _overlap(tower: Tower, exact: Sequence[Floats], got: Sequence[Floats]) -> float:
    """Return the mean share of common rows among the ten nearest: titles of a query, pictures of a picture.
    A query tower is compared with its own items, which the reference encoded.
    """
    if tower.role == PICTURE:
        pairs = [(exact[0], exact[0]), (got[0], got[0])]
    else:
        pairs = [(exact[2], exact[1]), (got[2], exact[1]) if tower.role == QUERY else (exact[2], got[1])]
    tops = [np.argsort(-(asked @ pool.T), axis=1, kind="stable")[:, :DEPTH] for asked, pool in pairs]
    return float(np.mean([np.isin(*rows).mean() for rows in zip(*tops, strict=True)]))
