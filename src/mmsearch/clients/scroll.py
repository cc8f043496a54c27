"""Read all documents of an index by pages, from a consistent snapshot."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask, name
from mmsearch.errors import AwayError, CallError

KEEP_ALIVE = "5m"


def pages(client: OpenSearch, index: str, body: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """Yield the hits of a search in pages of `body["size"]`.

    Raise HttpError when the request is rejected, and AwayError when a page is lost, when a shard is missing,
    or when the node with the scroll context is gone. The caller must then start again: repeating a scroll
    request returns the next page, not the lost one.
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
        # The node with the scroll context is gone.
        raise AwayError(error.server, str(error)) from None
    return page


def _require_every_shard(client: OpenSearch, page: dict[str, Any]) -> None:
    shards = page.get("_shards", {})
    if shards.get("failed"):
        raise AwayError(name(client), f"a scroll without {shards['failed']} of {shards['total']} shards")


def _release(client: OpenSearch, scroll: str) -> None:
    # An open scroll expires after KEEP_ALIVE; an error here must not hide the original one.
    with contextlib.suppress(CallError):
        ask(client, "DELETE", "/_search/scroll", body={"scroll_id": [scroll]})
