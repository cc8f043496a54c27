"""The figures of a calibration, `runtime.json` at the top of a served repository, and how they are shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmsearch.serving.runtime import Choice

RECORD = "runtime.json"
QUERY, ITEM, PICTURE = "query", "item", "picture"
"""roles of a tower: text of lone queries, text of many products, pictures"""


def read(tree: Path) -> dict[str, Any]:
    """Return the record of a served repository, {} if it was not calibrated."""
    file = tree / RECORD
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


def sentences(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line about each tower of a record."""
    for name, tower in record.get("towers", {}).items():
        choice = Choice(**tower["choice"])
        how = "by setting" if tower["overridden"] else "measured"
        time = f"{tower['milliseconds']:.1f} ms {'a lone query' if tower['role'] == QUERY else 'a row'}"
        rows = "" if tower["role"] == QUERY else f"slices of {choice.most}, "
        yield (
            f"{name} ({tower['role']}): {choice.name}, {rows}threads {choice.threads}, {time}, "
            f"cosine {tower['cosine_median']:.5f} (lowest {tower['cosine_lowest']:.5f}), "
            f"overlap@10 {tower['overlap']:.3f}, {how}"
        )
