"""The subjects of the results and their tables, and the steps of `make bench`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from faults import hybrids, ingest, query
from fuzz import every as fuzz
from hybrid import clause
from measuring.crowd import CLIENTS


@dataclass(frozen=True)
class Step:
    """One bench of `make bench`: what is run, the tables that it leaves, and how long it may take."""

    command: tuple[str, ...]
    tables: tuple[str, ...]
    minutes: float

    @property
    def name(self) -> str:
        return " ".join(self.command)


def hybrid_tables(nodes: int, shards: Sequence[int], windows: Sequence[int]) -> tuple[str, ...]:
    """The tables of bench hybrid: a lone client's and many clients'."""
    names = [clause.name_of(nodes, number, window) for number in shards for window in windows]
    return tuple(name + end for name in names for end in ("", f"-{CLIENTS}-clients"))


SHOP_ARMS = ("mmsearch", "best parts in process", "plain script")
"""the arms of `bench shop` that targets compare"""
STEPS = (
    Step(("shop",), ("shop",), 20),
    Step(("shop", "--busy", "2", "--arms", "mmsearch", "plain script"), ("shop-busy",), 12),
    Step(("shop", "--without-bf16", "--arms", *SHOP_ARMS), ("shop-without-bf16",), 12),
    Step(("ingest", "--table", "ingest"), ("ingest",), 12),
    *(
        Step(("ingest", "--table", table), (f"ingest-{table}",), 12)
        for table in ("stub", "bulk", "bulk-graph", "again", "partial", "memory")
    ),
    Step(("encoders",), ("encoders-latency", "encoders-throughput"), 8),
    Step(("int8",), ("int8",), 12),
    Step(("runtimes",), ("quality-runtimes",), 12),
    Step(("neural",), ("neural", "neural-8-clients", "neural-cpu", "neural-sharing"), 14),
    Step(("hybrid", "--windows", "100"), hybrid_tables(1, (1, 3), (100,)), 16),
    Step(("slow-legs",), ("hybrid-slow-legs",), 10),
    Step(("legs",), ("leg-knn", "leg-lexical"), 6),
    Step(("quantization",), ("quantisation",), 6),
    Step(("growth",), ("growth",), 12),
    Step(("training",), ("training",), 6),
    Step(("towers",), ("towers-text", "towers-images"), 14),
    Step(("evaluation",), ("evaluation", "evaluation-ranx"), 4),
    Step(("profiles",), ("profile-ingest", "profile-node-neural", "profile-node-hybrid"), 5),
)
"""what `make bench` runs: a window of 100 alone, of the hybrids"""


def _tables(*commands: str) -> tuple[str, ...]:
    return tuple(table for step in STEPS if step.command[0] in commands for table in step.tables)


SUBJECTS = {
    "shop": _tables("shop"),
    "ingest": _tables("ingest"),
    "encoders": (*_tables("encoders", "int8"), "entry"),
    "neural": (*_tables("neural"), "http-client", "http-client-cpu"),
    "hybrid": (*hybrid_tables(1, (1, 3), (10, 100, 500)), *hybrid_tables(2, (3,), (10, 100, 500))),
    "index": _tables("slow-legs", "legs", "quantization", "growth"),
    "offline": _tables("training", "towers", "evaluation"),
    "quality": (
        "quality-fusion",
        "quality-texts",
        "quality-towers-openclipart",
        "quality-towers-store",
        "quality-hybrid",
        "quality-served",
        "quality-runtimes",
        "quality-lexical",
        "quality-lexical-queries",
        "quality-colours",
        "quality-colours-ways",
        "quality-diversity",
        "quality-fusions",
    ),
    "faults": (
        *ingest.TABLES.values(),
        *(query.TABLES[name] for name in ("F5", "F6", "F7", "F8")),
        *hybrids.TABLES,
        "F10-soak-of-two-minutes",
        query.TABLES["F11"],
    ),
    "fuzz": (*fuzz.PYTHON.values(), *(table for table, _ in fuzz.JAVA.values())),
    "security": ("security",),
    "soak": ("soak", "soak-hybrids"),
    "profiles": _tables("profiles"),
}
"""file of bench/results → its tables, in the order of the page"""
