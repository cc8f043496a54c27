"""How an index's catalog was read, remembered in its `_meta.mmsearch.ingest` for `mmsearch reindex`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask
from mmsearch.clients.retry import Patience
from mmsearch.ingest.job import Job

PIPE = "-"


@dataclass(frozen=True, slots=True)
class Recipe:
    """The options of `mmsearch ingest` that decide what a line becomes, and how hard the servers are worked.

    `catalog` is an absolute path, `-` for what was piped in, or empty where nothing is remembered. What is
    one run's own (slice, rejects file, limits of rejects and deletes) is not part of it.
    """

    catalog: str = ""
    image_root: str = ""
    format: str | None = None
    limit: int | None = None
    text_only: bool = False
    fetch: bool = False
    renames: Mapping[str, str] = field(default_factory=dict)
    processes: int = 1
    batch: int = 32
    patience: float = 600.0

    @classmethod
    def of(cls, job: Job) -> Recipe:
        """What a run was asked to do."""
        catalog = job.catalog if job.catalog == PIPE else str(Path(job.catalog).resolve())
        names = ("format", "limit", "text_only", "fetch", "processes", "batch", "patience")
        given = {name: getattr(job, name) for name in names}
        return cls(catalog, str(job.image_root), renames=dict(job.renames), **given)

    @classmethod
    def read(cls, meta: Mapping[str, Any]) -> Recipe:
        """Out of `_meta.mmsearch`; what another release wrote and this one does not know is left out."""
        found: Mapping[str, Any] = meta.get("ingest", {})
        return cls(**{name: found[name] for name in cls.__slots__ if name in found})


def remember(
    client: OpenSearch, index: str, job: Job, indexed: int, patience: Patience, say: Callable[[str], None]
) -> None:
    """Write the run's recipe into its index, where it differs from the one that is there.

    A retry is part of another run, a partial feed is no catalog, a run that indexed nothing was wrong, and
    the first lines of a catalog are not taken for all of it.
    """
    if job.retry or job.partial or not indexed:
        return
    recipe = Recipe.of(job)
    try:
        meta = patience.call(lambda: ask(client, "GET", f"/{index}/_mapping"))[index]["mappings"]["_meta"]
        before = Recipe.read(meta["mmsearch"])
        if recipe == before or (recipe.limit is not None and before.catalog):
            return
        changed = {**meta, "mmsearch": {**meta["mmsearch"], "ingest": asdict(recipe)}}
        patience.call(lambda: ask(client, "PUT", f"/{index}/_mapping", body={"_meta": changed}))
    except HttpError as error:
        say(
            f"this run's options could not be remembered in {index}, got {error}; `mmsearch reindex` will "
            "need them named"
        )
