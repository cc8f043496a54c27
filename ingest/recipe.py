"""How an index's catalog was read, stored in its `_meta.mmsearch.ingest` for `mmsearch reindex`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError
from mmsearch.clients.retry import Patience
from mmsearch.ingest.job import Job
from mmsearch.ingest.product_index import own_meta
from mmsearch.products.feeds.preset import NONE

PIPE = "-"


@dataclass(frozen=True, slots=True)
class Recipe:
    """The options of `mmsearch ingest` that decide how a line becomes a product, and the load on the servers.

    `catalog` is an absolute path, `-` for standard input, or empty when nothing is stored. Options of a
    single run (slice, rejects file, limits of rejects and deletions) are not included.
    """

    catalog: str = ""
    image_root: str = ""
    format: str | None = None
    limit: int | None = None
    text_only: bool = False
    fetch: bool = False
    renames: Mapping[str, str] = field(default_factory=dict)
    preset: str | None = None
    processes: int | None = None
    batch: int = 32
    patience: float = 600.0

    @classmethod
    def of(cls, job: Job) -> Recipe:
        """Return the recipe of a job."""
        catalog = job.catalog if job.catalog == PIPE else str(Path(job.catalog).resolve())
        names = ("format", "preset", "limit", "text_only", "fetch", "processes", "batch", "patience")
        given = {name: getattr(job, name) for name in names}
        if job.preset and Path(job.preset).is_file():
            given["preset"] = str(Path(job.preset).resolve())
        return cls(catalog, str(job.image_root), renames=dict(job.renames), **given)

    @classmethod
    def read(cls, meta: Mapping[str, Any]) -> Recipe:
        """Read the recipe from `_meta.mmsearch`. Keys of other releases that this one does not know are
        ignored.
        """
        found: Mapping[str, Any] = meta.get("ingest", {})
        if found and "preset" not in found:
            # Written by a release without presets: the catalog is read as it was.
            found = {**found, "preset": NONE}
        return cls(**{name: found[name] for name in cls.__slots__ if name in found})


def remember(
    client: OpenSearch, index: str, job: Job, indexed: int, patience: Patience, say: Callable[[str], None]
) -> None:
    """Write the recipe of the run into its index, if it differs from the stored one.

    Nothing is written for a retry, a partial update, a run with `limit`, or a run that indexed nothing: none
    of them describes the whole catalog.
    """
    if job.retry or job.partial or not indexed:
        return
    recipe = Recipe.of(job)
    try:
        before = Recipe.read(patience.call(lambda: own_meta.own_meta(client, index)))
        if recipe == before or (recipe.limit is not None and before.catalog):
            return
        patience.call(lambda: own_meta.write(client, index, "ingest", asdict(recipe)))
    except HttpError as error:
        say(f"this run's options could not be saved in {index}, got {error}; pass them to `mmsearch reindex`")
