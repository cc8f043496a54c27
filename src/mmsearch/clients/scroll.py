"""Every document of an index, page by page, over a view that stays as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask, name
from mmsearch.errors import AwayError, CallError

KEEP_ALIVE = "5m"


def pages(client: OpenSearch, index: str, body: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """The hits of a search, as many a page as `body` has as its `size`.

    Raises HttpError when it is refused, and AwayError when a page is lost, when one lacks a shard, or when
    the node that held the view is gone. All of it must then be read again: a scroll that is asked for the
    same page twice gives the next one.
    """
    params = {"scroll": KEEP_ALIVE, "allow_partial_search_results": "false"}
    page = ask(client, "POST", f"/{index}/_search", body=body, params=params)
    scroll = page["_scroll_id"]
    try:
        while page["hits"]["hits"]:
            _require_every_shard(client, page)
            yield page["hits"]["hits"]
            page = _following(client, scroll)
            scroll = page["_scroll_id"]
        _require_every_shard(client, page)
    finally:
        _release(client, scroll)


def _following(client: OpenSearch, scroll: str) -> dict[str, Any]:
    try:
        body = {"scroll": KEEP_ALIVE, "scroll_id": scroll}
        page: dict[str, Any] = ask(client, "POST", "/_search/scroll", body=body)
    except HttpError as error:
        if error.status != 404:
            raise
        # The node that held the view is gone.
        raise AwayError(error.server, str(error)) from None
    return page


def _require_every_shard(client: OpenSearch, page: dict[str, Any]) -> None:
    shards = page.get("_shards", {})
    if shards.get("failed"):
        raise AwayError(name(client), f"a scroll without {shards['failed']} of {shards['total']} shards")


def _release(client: OpenSearch, scroll: str) -> None:
    # Left open it ends by itself after KEEP_ALIVE; what went wrong before matters more.
    with contextlib.suppress(CallError):
        ask(client, "DELETE", "/_search/scroll", body={"scroll_id": [scroll]})
