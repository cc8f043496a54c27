"""What our plugin's clauses are called on a node: by the official names, or by its own beside the official
plugin."""

from __future__ import annotations

from dataclasses import dataclass

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask


@dataclass(frozen=True)
class ClauseNames:
    """`neural` is the clause that encodes, `hybrid` the one that fuses."""

    neural: str
    hybrid: str


ALONE = ClauseNames("neural", "hybrid")
BESIDE = ClauseNames("mmsearch_neural", "mmsearch_hybrid")
"""where opensearch-neural-search owns the other names"""


def served(client: OpenSearch, index: str) -> ClauseNames:
    """The names that the node serves, asked by a search that finds nothing.

    A search, because who may search may ask it: the plugin's statistics and the list of plugins need rights
    of their own. On a node without our plugin the names are the official ones.
    Raises AwayError or HttpError, the latter for an index that is not there too.
    """
    nothing = {"size": 0, "query": {BESIDE.hybrid: {"queries": [{"match_none": {}}]}}}
    try:
        # Without the index's own pipeline, which may be made for the other plugin's clauses.
        ask(client, "POST", f"/{index}/_search", body=nothing, params={"search_pipeline": "_none"})
    except HttpError as error:
        if error.status == 400 and f"unknown query [{BESIDE.hybrid}]" in error.reason:
            return ALONE
        raise
    return BESIDE
