"""Products that are no longer in the catalogue leave the index, unless the catalogue looks cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opensearchpy import OpenSearch

from .connect import HttpError, ask
from .deletes import Deletes, delete
from .errors import MismatchError
from .front import Front
from .index import Target
from .scroll import pages
from .seen import slice_of
from .waiting import Patience

PAGE = 5_000


def sync(
    client: OpenSearch,
    target: Target,
    front: Front,
    part: tuple[int, int],
    at_most: float,
    patience: Patience,
    say: Callable[[str], None],
) -> Deletes:
    """Delete what the catalogue did not bring to this slice, and return what became of it.

    Raises MismatchError, having deleted nothing, when that would be more than `at_most` of the index,
    when the catalogue was empty, or when a line without an id may have been any product.
    """
    if front.nameless:
        raise MismatchError(
            f"expected every line to have an id before deleting what is gone, got {front.nameless} without; "
            "mend them, all else is in"
        )
    try:
        gone, total = patience.call(lambda: _gone(client, target, front, part))
    except HttpError as error:
        raise MismatchError(
            f"expected to read the ids of {target.index} by a scroll, got {error}; nothing was deleted, all "
            "else is in"
        ) from None
    if not gone:
        return Deletes()
    if not len(front.seen) or len(gone) > at_most * total:
        raise MismatchError(
            f"expected to delete at most {at_most:.0%} of the {total} products of {target.index}, got "
            f"{len(gone)} that are not among the {len(front.seen)} of the catalogue; when it is whole, raise "
            "--sync-at-most"
        )
    say(f"deleting {len(gone)} products that are no longer in the catalogue")
    deletes = delete(client, target.index, gone, patience)
    patience.call(lambda: ask(client, "POST", f"/{target.index}/_refresh"))
    if deletes.written_since:
        say(f"{deletes.written_since} of them stay, since they were written meanwhile")
    return deletes


def _gone(
    client: OpenSearch, target: Target, front: Front, part: tuple[int, int]
) -> tuple[list[dict[str, Any]], int]:
    """The documents of this slice that the catalogue did not bring, and how many documents the slice has.

    Raises AwayError when a page is lost, and must then be called again.
    """
    gone: list[dict[str, Any]] = []
    total = 0
    body = {"size": PAGE, "sort": ["_doc"], "_source": False, "seq_no_primary_term": True}
    for page in pages(client, target.index, body):
        mine = [hit for hit in page if _mine(hit["_id"], part)]
        total += len(mine)
        there = front.seen.has([hit["_id"] for hit in mine])
        gone += [hit for hit, seen in zip(mine, there, strict=True) if not seen]
    return gone, total


def _mine(identifier: str, part: tuple[int, int]) -> bool:
    number, count = part
    return count == 1 or slice_of(identifier.encode(), count) == number
