"""What one run of ingest is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .fetch import picture_folder
from .progress import journal_folder
from .storage import StorageOptions


@dataclass(frozen=True, slots=True)
class Job:
    """`catalogue` is a path or `-`; `image_root` is the folder that pictures may not leave.

    With `retry` the catalogue is a rejects file, whose lines keep the numbers that they had, and `named` is
    the catalogue that they came from. `slice` is (i, n), i from 1. `max_rejects` is a count and a share of
    the lines. `sync` is the share of the index that may be deleted because the catalogue does not hold
    it; None deletes nothing. `force` encodes and writes every product, also those that the index is said to
    hold already.
    """

    catalogue: str
    image_root: Path
    rejects: Path
    index: str = "products"
    fields: tuple[str, ...] | None = None
    storage: StorageOptions = field(default_factory=StorageOptions)
    shards: int | None = None
    text_only: bool = False
    renames: Mapping[str, str] = field(default_factory=dict)
    processes: int = 1
    batch: int = 32
    bulk_items: int = 500
    patience: float = 600.0
    resume: str = ""
    fetch: bool = False
    pictures: Path = field(default_factory=picture_folder)
    journal: Path = field(default_factory=journal_folder)
    retry: bool = False
    named: str = ""
    format: str | None = None
    limit: int | None = None
    slice: tuple[int, int] = (1, 1)
    max_rejects: tuple[int, float] | None = None
    sync: float | None = None
    dry_run: bool = False
    force: bool = False

    @property
    def origin(self) -> dict[str, Any]:
        """How the records were read, as each reject remembers it."""
        origin: dict[str, Any] = {
            "catalogue": self.named or self.catalogue,
            "image_root": str(self.image_root),
        }
        if self.renames:
            origin["map"] = dict(self.renames)
        return origin
