"""The official neural-search and ml-commons beside our plugin on one node: for benches and slow tests.

Their names are `neural` and `hybrid` there; ours are `mmsearch_neural` and `mmsearch_hybrid`.
"""

from __future__ import annotations

from typing import Any

from .downloads import Archive, archives

PINNED = "official.json"
SETTINGS: dict[str, Any] = {
    "plugins.ml_commons.only_run_on_ml_node": False,
    "plugins.ml_commons.native_memory_threshold": 100,
    # An encoder on this machine, which ml-commons takes for an attack otherwise.
    "plugins.ml_commons.connector.private_ip_enabled": True,
    "plugins.ml_commons.trusted_connector_endpoints_regex": ["^http://127.0.0.1:.*$"],
}


def plugins() -> dict[str, Archive]:
    """What `Wanted.beside` takes: job-scheduler, ml-commons (391 MB) and neural-search; k-NN is there
    already."""
    return archives(PINNED)


def wanted() -> dict[str, Any]:
    """The keys of `embedded.Wanted` that put the official plugins beside ours."""
    return {"beside": plugins(), "settings": SETTINGS}
