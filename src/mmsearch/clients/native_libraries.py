"""Check that data nodes have k-NN's native libraries. A node without them crashes on the first document of a
faiss field.
"""

from __future__ import annotations

from collections.abc import Iterator

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask

STATS = "/_plugins/_mmsearch/stats/data:true"
ACTION = "cluster:monitor/mmsearch/stats"
"""permission that this request needs under the security plugin"""


def by_node(client: OpenSearch) -> dict[str, bool | None]:
    """Return for each data node, by name, whether it has the libraries.

    The value is None if the node's plugin does not report it, or if the node did not respond; the latter is
    listed by its id. The result is empty when no node has the plugin. Raise the errors of `ask`.
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
    """Return a description of the nodes that cannot hold a faiss field; empty if all can."""
    if not nodes:
        return "no node with the mmsearch plugin, which says whether they are there"
    return " and ".join(_groups(nodes))


def _groups(nodes: dict[str, bool | None]) -> Iterator[str]:
    if without := [name for name, has in nodes.items() if has is False]:
        yield f"none on {', '.join(without)}"
    if silent := [name for name, has in nodes.items() if has is None]:
        yield f"no word of {', '.join(silent)}"
