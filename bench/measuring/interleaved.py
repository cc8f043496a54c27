"""Arms measured in turn (A B C A B C …), so that a ratio holds while the machine's speed drifts.

Each round runs every arm once, in an order shuffled by a fixed seed. The first arm is run twice a round: the
ratio of its two series is the A-against-A check, and a run whose check leaves 0.95 to 1.05 is void.

    table = measure("neural", {"knn": run_knn, "neural": run_neural}, rounds=9, unit="ms")
    table.ratio("neural", "knn")          # median over rounds of the pairwise ratio
    table.target("neural", "knn", at_most=1.05)
    table.finish()                        # prints the table and writes build/bench/neural.json

`measuring.results` takes what is written there into bench/results.
"""

from __future__ import annotations

import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

OUTPUT = Path(__file__).parents[2] / "build" / "bench"
SHORT = "MMSEARCH_BENCH_SHORT"
"""set while a short form runs, and inherited: its tables stay out of the results"""
AGAIN = "(the first arm again)"
A_AGAINST_A = (0.95, 1.05)
PACKAGES = (
    "numpy",
    "onnxruntime",
    "opensearch-py",
    "orjson",
    "pytrec-eval-terrier",
    "sentence-transformers",
    "torch",
    "tritonclient",
)
PEERS = ("bm25s", "faiss-cpu", "lancedb", "ranx")
"""on the path once bench/measuring/peers.py has put them there"""


@dataclass
class Table:
    """Figures of one bench: for each arm, one value a round, all in `unit`."""

    name: str
    unit: str
    figures: dict[str, list[float]]
    verdicts: list[dict[str, object]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    """of servers; those of the packages are added"""

    def ratio(self, arm: str, other: str) -> float:
        """The median over rounds of `arm` / `other`, pair by pair."""
        return statistics.median(self.ratios(arm, other))

    def ratios(self, arm: str, other: str) -> list[float]:
        """`arm` / `other` of each round."""
        return [a / b for a, b in zip(self.figures[arm], self.figures[other], strict=True)]

    def differences(self, arm: str, other: str) -> list[float]:
        """`arm` minus `other` of each round."""
        return [a - b for a, b in zip(self.figures[arm], self.figures[other], strict=True)]

    def target(
        self, arm: str, other: str, *, at_most: float | None = None, at_least: float | None = None
    ) -> bool:
        """Record whether the ratio of two arms meets its bound, and return it."""
        bound = {"<=": at_most, ">=": at_least}
        return self.figure(f"{arm} / {other}", self.ratio(arm, other), bound)

    def figure(
        self, what: str, value: float, bound: Mapping[str, float | None], *, exact: bool = False
    ) -> bool:
        """Record a figure against its bounds, `{"<=": x}` or `{">=": y}`; return whether it meets them.

        One that is `exact`, as a count is or a recall, holds on an unsteady machine too.
        """
        limits = {sign: limit for sign, limit in bound.items() if limit is not None}
        met = all(value <= limit if sign == "<=" else value >= limit for sign, limit in limits.items())
        words = " and ".join(f"{sign} {limit:g}" for sign, limit in limits.items())
        self.verdicts.append({"what": what, "value": value, "target": words, "met": met, "exact": exact})
        return met

    def note(self, sentence: str) -> None:
        """A sentence that belongs to the figures: what an arm is, what was left out."""
        self.notes.append(sentence)

    @property
    def a_against_a(self) -> float:
        return self.ratio(AGAIN, next(iter(self.figures))) if AGAIN in self.figures else 1.0

    @property
    def valid(self) -> bool:
        return A_AGAINST_A[0] <= self.a_against_a <= A_AGAINST_A[1]

    def finish(self) -> bool:
        """Print the table, write its JSON, and return whether it is valid and every target is met."""
        print(f"\n## {self.name}\n")
        if self.figures:
            print(f"| arm | median {self.unit} | min | max |\n| --- | --- | --- | --- |")
        for arm, values in self.figures.items():
            numbers = (statistics.median(values), min(values), max(values))
            print(f"| {arm} | {' | '.join(map(shown, numbers))} |")
        print("\n| ratio or figure | value | target | verdict |\n| --- | --- | --- | --- |")
        for row in self.verdicts:
            verdict = ("met" if row["met"] else "missed") if row["target"] else ""
            print(f"| {row['what']} | {shown(row['value'])} | {row['target']} | {verdict} |")
        for sentence in self.notes:
            print(f"\n{sentence}")
        if AGAIN in self.figures:
            state = "valid" if self.valid else "VOID, the machine was too unsteady"
            print(f"\nA against A {self.a_against_a:.3f}: {state}. {machine()}")
        else:
            print(f"\n{machine()}")
        if os.environ.get(SHORT):
            print("\nThe short form: its times decide nothing.")
        output().mkdir(parents=True, exist_ok=True)
        record = {
            "name": self.name,
            "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
            "unit": self.unit,
            "figures": self.figures,
            "verdicts": self.verdicts,
            "notes": self.notes,
            "a_against_a": self.a_against_a if AGAIN in self.figures else None,
            "valid": self.valid,
            "machine": machine(),
            "versions": self.versions | versions(),
        }
        (output() / f"{self.name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        return self.valid and all(bool(row["met"]) for row in self.verdicts)


def output() -> Path:
    """Where tables go: build/bench, and its folder `short` for short forms."""
    return OUTPUT / "short" if os.environ.get(SHORT) else OUTPUT


def measure(
    name: str,
    arms: Mapping[str, Callable[[], float]],
    *,
    rounds: int,
    unit: str,
    warm_up: int = 1,
    seed: int = 20250107,
) -> Table:
    """Run every arm once a round and return the table; an arm returns its own figure, in `unit`."""
    first = next(iter(arms))
    runs = [*arms, AGAIN]
    figures: dict[str, list[float]] = {arm: [] for arm in runs}
    order = random.Random(seed)
    for number in range(-warm_up, rounds):
        order.shuffle(runs)
        for arm in runs:
            value = arms[first if arm == AGAIN else arm]()
            if number >= 0:
                figures[arm].append(value)
    return Table(name, unit, figures)


def measure_queries(
    name: str,
    arms: Mapping[str, Callable[[int, int], list[Callable[[], object]]]],
    *,
    rounds: int,
    queries: int,
    seed: int = 20250107,
) -> Table:
    """The median time of a call of each arm in each round, milliseconds, of a lone client.

    An arm gives its calls for (how many, seed). Within a round every call number is made by each arm in turn,
    in an order shuffled again, so that arms are nearer to each other in time than a whole round of calls is.
    """
    first = next(iter(arms))
    figures: dict[str, list[float]] = {arm: [] for arm in [*arms, AGAIN]}
    order = random.Random(seed)
    for number in range(rounds):
        calls = {arm: arms[first if arm == AGAIN else arm](queries, number + 1) for arm in figures}
        times: dict[str, list[float]] = {arm: [] for arm in figures}
        turn = list(figures)
        for place in range(queries):
            order.shuffle(turn)
            for arm in turn:
                begin = time.perf_counter()
                calls[arm][place]()
                times[arm].append(time.perf_counter() - begin)
        for arm, spent in times.items():
            figures[arm].append(statistics.median(spent) * 1000)
    return Table(name, "ms", figures)


def shown(value: object) -> str:
    """A number for a table: counts whole, all else by four digits."""
    assert isinstance(value, int | float)
    return f"{value:,.0f}" if abs(value) >= 1000 and float(value).is_integer() else f"{value:.4g}"


def machine() -> str:
    """The machine in one sentence: processor count, load, Python."""
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, load {load}, Python {platform.python_version()}."


def versions() -> dict[str, str]:
    """Versions of the packages that the figures depend on, those that are installed."""
    found = {}
    for package in PACKAGES + PEERS:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
