"""Names of our plugin's query clauses on a node: the official names, or separate ones beside the official
plugin.
"""

from __future__ import annotations

from dataclasses import dataclass

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask


@dataclass(frozen=True)
class ClauseNames:
    """`neural` is the name of the clause that encodes, `hybrid` of the one that fuses."""

    neural: str
    hybrid: str


ALONE = ClauseNames("neural", "hybrid")
BESIDE = ClauseNames("mmsearch_neural", "mmsearch_hybrid")
"""names used where opensearch-neural-search already defines the official ones"""


def served(client: OpenSearch, index: str) -> ClauseNames:
    """Return the names that the node serves, found by a search without results.

    A search is used because it needs only the permission to search; the plugin's statistics and the list of
    plugins need more. On a node without our plugin the official names are returned. Raise AwayError or
    HttpError, the latter also for a missing index.
    """
    nothing = {"size": 0, "query": {BESIDE.hybrid: {"queries": [{"match_none": {}}]}}}
    try:
        # Bypass the index's default search pipeline, which may use the other plugin's clauses.
        ask(client, "POST", f"/{index}/_search", body=nothing, params={"search_pipeline": "_none"})
    except HttpError as error:
        if error.status == 400 and f"unknown query [{BESIDE.hybrid}]" in error.reason:
            return ALONE
        raise
    return BESIDE
