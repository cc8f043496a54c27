"""Products that are no longer in the catalogue leave the index, unless the catalogue looks cut."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from opensearchpy import OpenSearch

from .connect import HttpError, ask, name
from .deleting import Deleting, Deletion
from .errors import CallError, MismatchError
from .front import Front
from .index import Target
from .seen import slice_of
from .tally import Tally
from .waiting import AwayError, Patience

PAGE = 5_000
KEEP_ALIVE = "5m"


def sync(
    client: OpenSearch,
    target: Target,
    front: Front,
    part: tuple[int, int],
    at_most: float,
    patience: Patience,
    tally: Tally,
    say: Callable[[str], None],
) -> None:
    """Delete what the catalogue did not bring to this slice, and count it.

    Raises MismatchError, having deleted nothing, when that would be more than `at_most` of the index,
    when the catalogue was empty, or when a line without an id may have been any product; and as
    `Deleting.delete` does.
    """
    if front.nameless:
        raise MismatchError(
            f"expected every line to have an id before deleting what is gone, got {front.nameless} without; "
            "mend them, all else is in"
        )
    gone, total = patience.call(lambda: _gone(client, target, front, part))
    if not gone:
        return
    if not len(front.seen) or len(gone) > at_most * total:
        raise MismatchError(
            f"expected to delete at most {at_most:.0%} of the {total} products of {target.index}, got "
            f"{len(gone)} that are not among the {len(front.seen)} of the catalogue; when it is whole, raise "
            "--sync-at-most"
        )
    say(f"deleting {len(gone)} products that are no longer in the catalogue")
    Deleting(client, target, patience, tally).delete(gone)
    patience.call(lambda: ask(client, "POST", f"/{target.index}/_refresh"))


def _gone(
    client: OpenSearch, target: Target, front: Front, part: tuple[int, int]
) -> tuple[list[Deletion], int]:
    """What the catalogue did not bring, as it is now, and how many products the slice has.

    Raises AwayError when the index was not read to its end; it then has to be read anew.
    """
    gone: list[Deletion] = []
    total = 0
    for page in _pages(client, target):
        mine = [hit for hit in page if _mine(hit["_id"], part)]
        total += len(mine)
        there = front.seen.has([hit["_id"] for hit in mine])
        # As they were seen; one that someone has written since stays.
        gone += [
            {"_id": hit["_id"], "if_seq_no": hit["_seq_no"], "if_primary_term": hit["_primary_term"]}
            for hit, seen in zip(mine, there, strict=True)
            if not seen
        ]
    return gone, total


def _mine(identifier: str, part: tuple[int, int]) -> bool:
    number, count = part
    return count == 1 or slice_of(identifier.encode(), count) == number


def _pages(client: OpenSearch, target: Target) -> Iterator[list[dict[str, Any]]]:
    """Every document's id with its sequence number, by a scroll over a fixed view of the index."""
    body = {"size": PAGE, "sort": ["_doc"], "_source": False, "seq_no_primary_term": True}
    page = ask(client, "POST", f"/{target.index}/_search", body=body, params={"scroll": KEEP_ALIVE})
    scroll = page["_scroll_id"]
    try:
        while _whole(client, page)["hits"]["hits"]:
            yield page["hits"]["hits"]
            again = {"scroll": KEEP_ALIVE, "scroll_id": scroll}
            page = _next(client, again)
    finally:
        # Left open it ends by itself; what went wrong before matters more.
        with contextlib.suppress(CallError):
            ask(client, "DELETE", "/_search/scroll", body={"scroll_id": [scroll]})


def _next(client: OpenSearch, again: dict[str, Any]) -> dict[str, Any]:
    try:
        page: dict[str, Any] = ask(client, "POST", "/_search/scroll", body=again)
    except HttpError as error:
        if error.status != 404:
            raise
        # The node that held the view is gone.
        raise AwayError(error.server, str(error)) from None
    return page


def _whole(client: OpenSearch, page: dict[str, Any]) -> dict[str, Any]:
    """The page, unless a shard is missing from it."""
    failed = page.get("_shards", {}).get("failed", 0)
    if failed:
        raise AwayError(name(client), f"an answer without {failed} of the index's shards")
    return page
