"""Aliases with their properties: checks whether products may be written by an alias, and moves aliases to
another index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask
from mmsearch.errors import MismatchError

_PARTIAL = ("filter", "index_routing", "search_routing")
"""properties of an alias that is not the whole of its index"""
_GIVEN = {"filter": "a filter", "index_routing": "routing", "search_routing": "routing"}

Properties = Mapping[str, Mapping[str, Any]]
"""alias → filter, index_routing, search_routing, is_write_index, is_hidden, as far as it has them"""


def require_whole(client: OpenSearch, name: str) -> None:
    """Raise MismatchError if `name` is an alias with a filter or routing.

    Documents outside such an alias may belong to another shop and have the same ids, or they may be hidden on
    purpose. These cases cannot be distinguished, so nothing is written or deleted through the alias.
    """
    try:
        found = ask(client, "GET", f"/{name}/_alias/{name}")
    except HttpError as error:
        if error.status == 404:  # an index, or nothing yet
            return
        raise MismatchError(
            f"expected to read the properties of the alias {name}, got {error}; grant "
            "indices:admin/aliases/get, or name the index itself by --index"
        ) from None
    for index, about in found.items():
        properties = about["aliases"].get(name, {})
        had = list(dict.fromkeys(_GIVEN[each] for each in _PARTIAL if each in properties))
        if had:
            raise MismatchError(
                f"expected {name} to be an alias of all products of {index}, got one with "
                f"{' and '.join(had)}; use --index {index}, or one index per shop"
            )


def aliases_of(client: OpenSearch, index: str) -> Properties:
    """Return every alias of an index with its properties."""
    found: Properties = ask(client, "GET", f"/{index}/_alias")[index]["aliases"]
    return found


def moved(aliases: Properties, old: str, new: str) -> list[dict[str, Any]]:
    """Return the actions of one atomic `POST _aliases` that move aliases with their properties."""
    return [
        action
        for name, properties in aliases.items()
        for action in (
            {"remove": {"index": old, "alias": name, "must_exist": True}},
            {"add": {"index": new, "alias": name, **properties}},
        )
    ]
