"""Which data nodes have k-NN's native libraries: a node without them ends at the first document of a faiss
field."""

from __future__ import annotations

from collections.abc import Iterator

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask

STATS = "/_plugins/_mmsearch/stats/data:true"
ACTION = "cluster:monitor/mmsearch/stats"
"""the permission that asking takes, under the security plugin"""


def by_node(client: OpenSearch) -> dict[str, bool | None]:
    """For each data node, by its name, whether it has them; None for a node whose plugin does not say, and
    for one that did not answer, which goes by its id. Empty where no node has the plugin.

    Raises as `ask` does.
    """
    try:
        said = ask(client, "GET", STATS)
    except HttpError as error:
        if "no handler found" in str(error):
            return {}
        raise
    nodes: dict[str, bool | None] = {
        about["name"]: about.get("knn", {}).get("native_libraries") for about in said["nodes"].values()
    }
    nodes |= {failed["node_id"]: None for failed in said["_nodes"].get("failures", ())}
    return dict(sorted(nodes.items()))


def lacking(nodes: dict[str, bool | None]) -> str:
    """The nodes that may not hold a faiss field, in words; empty where all may."""
    if not nodes:
        return "no node with the mmsearch plugin, which says whether they are there"
    return " and ".join(_groups(nodes))


def _groups(nodes: dict[str, bool | None]) -> Iterator[str]:
    if without := [name for name, has in nodes.items() if has is False]:
        yield f"none on {', '.join(without)}"
    if silent := [name for name, has in nodes.items() if has is None]:
        yield f"no word of {', '.join(silent)}"
