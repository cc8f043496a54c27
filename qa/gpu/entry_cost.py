"""What the entry model adds beside its towers, on the CPU: processor time a product.

Triton's processor time for rows through `item_encoder`, less that for the same rows through the two tower
models, each asked by several callers at once. A row is a text as long as a shop's and pixels, as ingest sends
them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

from gpu.callers import Load, measure
from measuring import interleaved
from measuring.interleaved import Table
from measuring.real_node import both, processor_seconds

BATCH, CALLERS = 32, 4
ENTRY, TOWERS = "item_encoder", ("bibert_item", "clip_image")
MOST = 1.0
"""milliseconds that the entry may add to a product"""


def spent(load: Load, triton: int) -> float:
    """Triton's processor time a row, ms."""
    return measure(load, lambda: processor_seconds([triton]))["ms a row"]


def table(rounds: int) -> Table:
    """Entry and towers in turns, on a Triton of its own."""
    with both() as servers:
        arms: dict[str, Callable[[], float]] = {
            model: partial(spent, Load(servers.triton, model, BATCH, CALLERS), servers.pids["triton"])
            for model in (ENTRY, *TOWERS)
        }
        found = interleaved.measure("entry", arms, rounds=rounds, unit="ms of Triton's processor time a row")
    towers = [sum(each) for each in zip(*(found.figures[name] for name in TOWERS), strict=True)]
    added = [whole - parts for whole, parts in zip(found.figures[ENTRY], towers, strict=True)]
    found.figure("added by the entry, ms a product", statistics.median(added), {"<=": MOST})
    found.note(
        f"{CALLERS} callers with batches of {BATCH} texts and pixels. What is added is the time of "
        f"{ENTRY} less that of {' and '.join(TOWERS)}, round by round."
    )
    return found
