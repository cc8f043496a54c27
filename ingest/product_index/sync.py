"""Deletes products that are no longer in the catalog, unless the catalog looks truncated."""

from __future__ import annotations

from collections.abc import Callable

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask
from mmsearch.clients.retry import Patience
from mmsearch.clients.scroll import pages
from mmsearch.errors import MismatchError
from mmsearch.ingest.id_set import IdSet, slice_of
from mmsearch.ingest.product_index.delete import BulkDelete, Deletion
from mmsearch.ingest.product_index.target import Target
from mmsearch.ingest.reporting.stats import Stats

PAGE = 5_000


def sync(
    client: OpenSearch,
    target: Target,
    ids: IdSet,
    nameless: int,
    part: tuple[int, int],
    at_most: float,
    patience: Patience,
    stats: Stats,
    say: Callable[[str], None],
) -> None:
    """Delete the products of this slice that are not in the catalog, and count them.

    `ids` are the catalog's ids, and `nameless` the number of lines with an unreadable id.
    Raise MismatchError, without deleting anything, if more than the share `at_most` of the index would be
    deleted, if the catalog was empty, if a line has no id and may be any product, or if the index cannot be
    read; also raise as `BulkDelete.delete` does.
    """
    if nameless:
        raise MismatchError(
            f"expected every line to have an id before deleting missing products, got {nameless} without "
            "one; fix them; all other products are indexed"
        )
    try:
        gone, total = patience.call(lambda: _gone(client, target, ids, part))
    except HttpError as error:
        raise MismatchError(
            f"expected to read the ids of {target.index} by a scroll, got {error}; nothing was deleted; "
            "all other products are indexed"
        ) from None
    if not gone:
        return
    if not len(ids) or len(gone) > at_most * total:
        raise MismatchError(
            f"expected to delete at most {at_most:.0%} of the {total} products of {target.index}, got "
            f"{len(gone)} that are not among the {len(ids)} of the catalog; if it is complete, raise "
            "--sync-at-most"
        )
    say(f"deleting {len(gone)} products that are no longer in the catalog")
    BulkDelete(client, target, patience, stats).delete(gone)
    patience.call(lambda: ask(client, "POST", f"/{target.index}/_refresh"))


def _gone(
    client: OpenSearch, target: Target, ids: IdSet, part: tuple[int, int]
) -> tuple[list[Deletion], int]:
    """Return the products that are not in the catalog, with their versions, and the slice's number of
    products.

    Raise AwayError if a page is lost; then call it again.
    """
    gone: list[Deletion] = []
    total = 0
    body = {"size": PAGE, "sort": ["_doc"], "_source": False, "seq_no_primary_term": True}
    for page in pages(client, target.index, body):
        mine = [hit for hit in page if _mine(hit["_id"], part)]
        total += len(mine)
        there = ids.has([hit["_id"] for hit in mine])
        # With the version that was read; a product written since then stays.
        gone += [
            {"_id": hit["_id"], "if_seq_no": hit["_seq_no"], "if_primary_term": hit["_primary_term"]}
            for hit, known in zip(mine, there, strict=True)
            if not known
        ]
    return gone, total


def _mine(identifier: str, part: tuple[int, int]) -> bool:
    number, count = part
    return count == 1 or slice_of(identifier.encode(), count) == number
