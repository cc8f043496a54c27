"""What stands on the page of results: the tables of `make bench`, and those of the commands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from faults import hybrids, ingest, query
from fuzz import every as fuzz
from hybrid import arms, clause


@dataclass(frozen=True)
class Step:
    """One bench: what is run, the tables that it leaves, and how long it may take."""

    name: str
    command: tuple[str, ...]
    tables: tuple[str, ...]
    minutes: float


@dataclass(frozen=True)
class Beside:
    """Tables that a command of their own leaves."""

    command: str
    tables: tuple[str, ...]
    about: str


def hybrid_tables(nodes: int, shards: Sequence[int], windows: Sequence[int]) -> tuple[str, ...]:
    """The tables of bench hybrid: a lone client's and many clients'."""
    names = [clause.name_of(nodes, number, window) for number in shards for window in windows]
    return tuple(name + end for name in names for end in ("", f"-{arms.CLIENTS}-clients"))


INGEST = {
    "ingest": "ingest",
    "stub": "ingest-stub",
    "bulk": "ingest-bulk",
    "bulk-graph": "ingest-bulk-graph",
    "again": "ingest-again",
    "partial": "ingest-partial",
    "memory": "ingest-memory",
}
STEPS = (
    *(Step(name, ("ingest", "--table", table), (name,), 12) for table, name in INGEST.items()),
    Step("evaluation", ("evaluation",), ("evaluation", "evaluation-ranx"), 4),
    Step("training", ("training",), ("training",), 6),
    Step("encoders", ("encoders",), ("encoders-latency", "encoders-throughput"), 8),
    Step("int8", ("int8",), ("int8",), 12),
    Step("neural", ("neural",), ("neural", "neural-8-clients", "neural-cpu", "neural-sharing"), 14),
    Step("hybrid", ("hybrid", "--windows", "100"), hybrid_tables(1, (1, 3), (100,)), 16),
    Step("slow-legs", ("slow-legs",), ("hybrid-slow-legs",), 10),
    Step("growth", ("growth",), ("growth",), 12),
    Step("quantisation", ("quantization",), ("quantisation",), 6),
    Step("legs", ("legs",), ("leg-knn", "leg-lexical"), 6),
    Step("profiles", ("profiles",), (), 5),  # leaves texts
)
BESIDE = (
    Beside(
        "bench hybrid",
        hybrid_tables(1, (1, 3), (10, 500)),
        "The hybrid at the other windows, on one node.",
    ),
    Beside(
        "bench hybrid --nodes 2 --shards 3",
        hybrid_tables(2, (3,), (10, 100, 500)),
        "The hybrid over two nodes of one machine, which are asked in turn.",
    ),
    Beside(
        "make quality",
        ("quality-fusion", "quality-hybrid", "quality-served", "quality-lexical"),
        "What training, pictures and a tuned hybrid bring, on queries that they were not chosen on, and what "
        "words find.",
    ),
    Beside("make security", ("security",), "What quality asks of security, by the tests that try it."),
    Beside(
        "make faults",
        (
            *ingest.TABLES.values(),
            *(query.TABLES[name] for name in ("F5", "F6", "F7", "F8")),
            *hybrids.TABLES,
            "F10-soak-of-two-minutes",
            query.TABLES["F11"],
        ),
        "What goes wrong around it, in full.",
    ),
    Beside(
        "make fuzz",
        (*fuzz.PYTHON.values(), *(table for table, _ in fuzz.JAVA.values())),
        "What reads others' bytes, a minute each.",
    ),
    Beside(
        "bench checkouts",
        ("checkouts-latency", "checkouts-throughput"),
        "The encoders before and after, all towers called yet: 482dcff had one core a tower, 728363d besides "
        "a hop to the fusion.",
    ),
    Beside("make soak", ("soak",), "Half an hour of searches and ingests."),
)
