"""Send searches to a node and explain failures in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opensearchpy import OpenSearch

from mmsearch.clients.causes import repair
from mmsearch.clients.opensearch import HttpError
from mmsearch.errors import AwayError, SearchError, UnreachableError
from mmsearch.search.clauses import ALONE, ClauseNames, served


@contextmanager
def in_a_sentence(index: str) -> Iterator[None]:
    """Convert the failure of a search to an MmsearchError with one sentence."""
    try:
        yield
    except AwayError as away:
        raise UnreachableError(away.sentence()) from None
    except HttpError as error:
        if "in order to collapse on" in str(error):
            raise SearchError(
                f"expected {index} to have the field to collapse on, got {error}; name another, or give an "
                f"older index the field `group` by: mmsearch reindex --index {index}"
            ) from None
        raise SearchError(
            f"expected hits from {index}, got {error}; {repair(error.status, error.kind)}"
        ) from None


def names_for(mode: str, client: OpenSearch, index: str) -> ClauseNames:
    """Return the node's clause names for a query. A lexical query needs none and sends no request.

    Raise AwayError or HttpError.
    """
    return ALONE if mode == "lexical" else served(client, index)
