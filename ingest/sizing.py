"""Capacity planning: resources that a catalog needs, from measured rates and documented formulas."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mmsearch.clients.triton import Encoder, Row, Served

GB = 1e9


@dataclass(frozen=True, slots=True)
class Rates:
    """Measured or given rates.

    `encode` is products per second of one encoder, `index` documents per second of one data node,
    `source_bytes` the disk space of a product without its vectors.
    """

    encode: float
    index: float
    source_bytes: float


@dataclass(frozen=True, slots=True)
class Shape:
    """Parameters of the cluster: dimension and connections of the graph, replicas, and maximum size of a
    shard and a node.
    """

    dimension: int
    fields: int = 1
    m: int = 16
    replicas: int = 1
    shard_gb: float = 40.0
    node_memory_gb: float = 64.0
    within_hours: float = 24.0


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan for one number of products. Sizes are in GB and include replicas where stated."""

    products: int
    vectors_gb: float
    graph_gb: float
    memory_gb: float
    disk_gb: float
    shards: int
    nodes: int
    encoder_hours: float
    encoders: int


FORMULAS = """\
vectors = products x fields x 4 x dimension bytes
graph   = products x fields x 8 x m bytes
memory  = 1.1 x (vectors + graph) x (1 + replicas), to be held in the page cache of the data nodes
disk    = (2 x vectors + graph + products x source) x (1 + replicas); vectors twice while segments merge
shards  = disk of one copy / shard size, at least 1
nodes   = the larger of memory / half a node's memory and of products x (1 + replicas) / (index rate x hours)
hours   = products / encode rate / 3600, for one encoder; encoders = hours / hours allowed"""


def plan(products: int, shape: Shape, rates: Rates) -> Plan:
    """Return the plan by FORMULAS."""
    copies = 1 + shape.replicas
    vectors = products * shape.fields * 4 * shape.dimension / GB
    graph = products * shape.fields * 8 * shape.m / GB
    memory = 1.1 * (vectors + graph) * copies
    one_copy = 2 * vectors + graph + products * rates.source_bytes / GB
    seconds = shape.within_hours * 3600
    hours = products / rates.encode / 3600
    return Plan(
        products=products,
        vectors_gb=vectors,
        graph_gb=graph,
        memory_gb=memory,
        disk_gb=one_copy * copies,
        shards=max(1, math.ceil(one_copy / shape.shard_gb)),
        nodes=max(
            copies,
            math.ceil(memory / (shape.node_memory_gb / 2)),
            math.ceil(products * copies / (rates.index * seconds)),
        ),
        encoder_hours=hours,
        encoders=max(1, math.ceil(hours / shape.within_hours)),
    )


def encode_rate(
    encoder: Encoder, served: Served, rows: Sequence[Row], *, seconds: float = 5.0, batch: int = 32
) -> float:
    """Measure the encoder's throughput in rows per second, with full batches and four requests in flight: the
    median over one-second intervals.

    Raise AwayError, RefusedError or EncoderError as `Encoder.encode` does.
    """
    size = min(batch, served.max_batch)
    turns = [rows[at % len(rows)] for at in range(size)]
    encoder.encode(turns, served, ["EMBEDDING"])
    ends: list[float] = []
    started = time.monotonic()

    def work() -> None:
        while time.monotonic() - started < seconds:
            encoder.encode(turns, served, ["EMBEDDING"])
            ends.append(time.monotonic() - started)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work) for _ in range(4)]:
            future.result()
    whole = int(seconds)
    counts = [sum(second <= end < second + 1 for end in ends) * size for second in range(whole)]
    return float(statistics.median(counts)) or len(ends) * size / max(ends)
