"""Delete products from the index by their ids."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass

from mmsearch.api.arguments import shown
from mmsearch.api.failures import explained
from mmsearch.api.ingestion import Watch
from mmsearch.api.servers import Servers
from mmsearch.clients.opensearch import ask
from mmsearch.clients.retry import Patience
from mmsearch.errors import ArgumentError
from mmsearch.ingest.id_set import IdSet
from mmsearch.ingest.product_index.aliases import require_whole
from mmsearch.ingest.product_index.delete import PAGE, BulkDelete
from mmsearch.ingest.product_index.target import present
from mmsearch.ingest.reporting.losses import NOT_DELETED, Loss, by_kind, phrase
from mmsearch.ingest.reporting.stats import Stats
from mmsearch.products.ids import identifier

logger = logging.getLogger("mmsearch.delete")


@dataclass(frozen=True, slots=True)
class DeleteReport:
    """Counts of a deletion: of the `read` ids, `deleted`, `missing` (not in the index) and `not_deleted`,
    which OpenSearch refused; `losses` gives the reasons with an example each.
    """

    read: int
    deleted: int
    missing: int
    seconds: float
    losses: tuple[Loss, ...] = ()

    @property
    def not_deleted(self) -> int:
        return sum(loss.count for loss in self.losses)

    @property
    def reasons(self) -> dict[str, int]:
        """Return the number of refused deletions by reason."""
        return {loss.reason: loss.count for loss in self.losses}

    @property
    def exit_code(self) -> int:
        """Return 0 if no product is left, 3 if OpenSearch refused some deletions."""
        return 3 if self.losses else 0

    def sentence(self) -> str:
        """Return the counts as one line of text."""
        refused = f", {phrase(self.losses, NOT_DELETED)}" if self.losses else ""
        return f"{self.deleted} deleted, {self.missing} not found{refused}"

    def summary(self) -> dict[str, object]:
        """Return the object of `mmsearch delete --json`."""
        keys = ("read", "deleted", "missing", "not_deleted", "seconds", "exit_code")
        found: dict[str, object] = {key: getattr(self, key) for key in keys}
        return found | ({"reasons": by_kind(self.losses)} if self.losses else {})


class _Progress:
    """The progress of a deletion in the form of an ingest's progress, without stages or a known end."""

    def __init__(self, stats: Stats) -> None:
        self.stats = stats

    def bottleneck(self) -> str:
        return ""

    def share(self) -> float:
        return 0.0


def delete(
    servers: Servers,
    index: str,
    ids: Iterable[str | int],
    *,
    give_up_after: float,
    resume: str,
    progress: Watch | None,
) -> DeleteReport:
    """Delete each id once. Raises MmsearchError; an id that OpenSearch refuses does not raise."""
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise ArgumentError(f"expected an iterable of ids, got {shown(ids)}; put one id in a list")
    started = time.monotonic()
    stats, seen = Stats(), IdSet()
    watch = progress or (lambda _: None)
    watch(_Progress(stats))
    with explained("delete"):
        client = servers.opensearch()
        require_whole(client, index)
        target = present(client, index)
        patience = Patience(give_up_after, logger.warning, resume)
        deleting = BulkDelete(client, target, patience, stats)
        each = map(_identifier, ids)
        while page := list(itertools.islice(each, PAGE)):
            new = list(itertools.compress(page, seen.add(page)))
            stats.add(read=len(new))
            deleting.delete([{"_id": identifier} for identifier in new])
            watch(_Progress(stats))
        patience.call(lambda: ask(client, "POST", f"/{target.index}/_refresh"))
    seconds = round(time.monotonic() - started, 3)
    return DeleteReport(stats.read, stats.deleted, stats.missing, seconds, stats.losses.all())


def _identifier(value: str | int) -> str:
    try:
        found = identifier(value)
    except ValueError:
        found = ""
    if not found:
        raise ArgumentError(f"expected ids that are texts or whole numbers, got {shown(value)}")
    return found
