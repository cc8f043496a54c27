"""Products that are no longer in the catalogue leave the index, unless the catalogue looks cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
from opensearchpy import OpenSearch

from .connect import HttpError, ask
from .errors import MismatchError
from .front import Front
from .index import Target
from .seen import slice_of
from .waiting import Patience

PAGE = 5_000
KEEP_ALIVE = "5m"


def sync(
    client: OpenSearch,
    target: Target,
    front: Front,
    part: tuple[int, int],
    at_most: float,
    patience: Patience,
    say: Callable[[str], None],
) -> int:
    """Delete what the catalogue did not bring to this slice, and return how many those were.

    Raises MismatchError, having deleted nothing, when that would be more than `at_most` of the index,
    when the catalogue was empty, or when a line without an id may have been any product.
    """
    if front.nameless:
        raise MismatchError(
            f"expected every line to have an id before deleting what is gone, got {front.nameless} without; "
            "mend them, all else is in"
        )
    gone: list[dict[str, Any]] = []
    total = 0
    for page in _pages(client, target, patience):
        mine = [hit for hit in page if _mine(hit["_id"], part)]
        total += len(mine)
        there = front.seen.has([hit["_id"] for hit in mine])
        gone += [hit for hit, seen in zip(mine, there, strict=True) if not seen]
    if not gone:
        return 0
    if not len(front.seen) or len(gone) > at_most * total:
        raise MismatchError(
            f"expected to delete at most {at_most:.0%} of the {total} products of {target.index}, got "
            f"{len(gone)} that are not among the {len(front.seen)} of the catalogue; when it is whole, raise "
            "--sync-at-most"
        )
    say(f"deleting {len(gone)} products that are no longer in the catalogue")
    for start in range(0, len(gone), PAGE):
        patience.call(lambda start=start: _delete(client, target, gone[start : start + PAGE]))  # type: ignore[misc]
    return len(gone)


def _mine(identifier: str, part: tuple[int, int]) -> bool:
    number, count = part
    return count == 1 or slice_of(identifier.encode(), count) == number


def _pages(client: OpenSearch, target: Target, patience: Patience) -> Iterator[list[dict[str, Any]]]:
    """Every document's id with its sequence number, by a scroll over a fixed view of the index."""
    body = {"size": PAGE, "sort": ["_doc"], "_source": False, "seq_no_primary_term": True}
    page = patience.call(
        lambda: ask(client, "POST", f"/{target.index}/_search", body=body, params={"scroll": KEEP_ALIVE})
    )
    scroll = page["_scroll_id"]
    try:
        while page["hits"]["hits"]:
            yield page["hits"]["hits"]
            again = {"scroll": KEEP_ALIVE, "scroll_id": scroll}
            page = ask(client, "POST", "/_search/scroll", body=again)
    finally:
        ask(client, "DELETE", "/_search/scroll", body={"scroll_id": [scroll]})


def _delete(client: OpenSearch, target: Target, hits: list[dict[str, Any]]) -> None:
    """Delete these documents as they were seen; one that someone has written since stays."""
    lines = [
        orjson.dumps(
            {
                "delete": {
                    "_id": hit["_id"],
                    "if_seq_no": hit["_seq_no"],
                    "if_primary_term": hit["_primary_term"],
                }
            }
        )
        for hit in hits
    ]
    try:
        ask(
            client,
            "POST",
            f"/{target.index}/_bulk",
            body=b"\n".join(lines) + b"\n",
            params={"filter_path": "errors", "refresh": "true"},
            headers={"content-type": "application/x-ndjson"},
        )
    except HttpError as error:
        raise MismatchError(f"expected {target.index} to take deletions, got {error}") from None
