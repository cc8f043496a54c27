"""Parameters of one run of ingest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmsearch.config import cache_folder
from mmsearch.ingest.product_index.storage import StorageOptions
from mmsearch.ingest.schema.fields import SchemaOptions


@dataclass(frozen=True, slots=True)
class Job:
    """Parameters of one run.

    `catalog` is a path or `-`; `image_root` is the folder that image paths must not leave. With `retry` the
    catalog is a rejects file: its lines keep their original numbers, and `came_from` describes the run that
    wrote them. `slice` is (i, n), i from 1. `max_rejects` and `max_without_image` are a count and a share of
    the lines. `processes` is a number of decoder processes; None takes as many as there are idle cores.
    `sync` is the maximum share of the index to delete because the catalog does not contain it; None deletes
    nothing. With `partial` each line updates only the fields that it contains. `force` encodes
    and writes every product, including unchanged ones. `wait` also waits for servers that are unreachable at
    the start.
    """

    catalog: str
    image_root: Path
    rejects: Path
    index: str = "products"
    fields: tuple[str, ...] | None = None
    storage: StorageOptions = field(default_factory=StorageOptions)
    shards: int | None = None
    schema: SchemaOptions = field(default_factory=SchemaOptions)
    text_only: bool = False
    renames: Mapping[str, str] = field(default_factory=dict)
    preset: str | None = None
    processes: int | None = None
    batch: int = 32
    bulk_items: int = 500
    patience: float = 600.0
    resume: str = ""
    fetch: bool = False
    pictures: Path = field(default_factory=lambda: cache_folder("pictures"))
    journal: Path = field(default_factory=lambda: cache_folder("ingest"))
    retry: bool = False
    came_from: Mapping[str, Any] = field(default_factory=dict)
    format: str | None = None
    limit: int | None = None
    slice: tuple[int, int] = (1, 1)
    max_rejects: tuple[int, float] | None = None
    max_without_image: tuple[int, float] | None = None
    sync: float | None = None
    dry_run: bool = False
    partial: bool = False
    force: bool = False
    wait: bool = False

    @property
    def origin(self) -> dict[str, Any]:
        """Return how the records were read, as stored with each reject."""
        name = self.catalog if self.catalog == "-" else os.path.abspath(self.catalog)  # noqa: PTH100
        origin: dict[str, Any] = {"catalog": name, **self.came_from, "image_root": str(self.image_root)}
        if self.renames:
            origin["map"] = dict(self.renames)
        if self.slice != (1, 1) and "slice" not in origin and not self.came_from:
            origin["slice"] = f"{self.slice[0]}/{self.slice[1]}"
        if self.dry_run:
            origin["dry_run"] = True
        if self.partial:
            origin["partial"] = True
        return origin
