"""Several embedded nodes that form a cluster on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmsearch.stack.ports import HOST, free


def settings(names: Sequence[str], transport: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Return `Wanted.settings` by name of a node. The first node bootstraps the cluster and must be started
    first.

    `transport` has a free port for each name.
    """
    hosts = [f"{HOST}:{transport[name]}" for name in names]
    return {
        name: {
            "node.name": name,
            "transport.port": transport[name],
            "discovery.type": None,
            "discovery.seed_hosts": hosts,
            "cluster.initial_cluster_manager_nodes": [names[0]],
        }
        for name in names
    }


def transport_ports(names: Sequence[str]) -> dict[str, int]:
    """Return a free port for each node."""
    return dict(zip(names, free(len(names)), strict=True))
