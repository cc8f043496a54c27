"""The official neural-search and ml-commons plugins beside ours on one node, for benchmarks and slow tests.

`neural` and `hybrid` are then the official clauses; ours are `mmsearch_neural` and `mmsearch_hybrid`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from mmsearch.errors import StackError
from mmsearch.stack.downloads import Archive, archives
from mmsearch.stack.loopback import ask

PINNED = "official.json"
SETTINGS: dict[str, Any] = {
    "plugins.ml_commons.only_run_on_ml_node": False,
    "plugins.ml_commons.native_memory_threshold": 100,
    # Allow an encoder on this machine; by default ml-commons blocks private addresses as an attack (SSRF).
    "plugins.ml_commons.connector.private_ip_enabled": True,
    "plugins.ml_commons.trusted_connector_endpoints_regex": ["^http://127.0.0.1:.*$"],
}


def plugins() -> dict[str, Archive]:
    """Return `Wanted.beside`: job-scheduler, ml-commons (391 MB) and neural-search. k-NN is already
    installed.
    """
    return archives(PINNED)


def wanted() -> dict[str, Any]:
    """Return the fields of `embedded.Wanted` that add the official plugins to ours."""
    return {"beside": plugins(), "settings": SETTINGS}


def remote_model(url: str, connector: Mapping[str, Any], within: float = 60.0) -> str:
    """Create a connector and a deployed remote model for it. Return the model id for `neural`.

    Raise Answered when the node rejects either, StackError when the model is not deployed `within` seconds.
    """
    made = ask(f"{url}/_plugins/_ml/connectors/_create", connector)
    model = {
        "name": connector["name"],
        "function_name": "remote",
        "connector_id": made["connector_id"],
    }
    registered = ask(f"{url}/_plugins/_ml/models/_register?deploy=true", model)
    identifier = str(registered["model_id"])
    deadline = time.monotonic() + within
    while (state := ask(f"{url}/_plugins/_ml/models/{identifier}")["model_state"]) != "DEPLOYED":
        if time.monotonic() > deadline:
            raise StackError(
                f"expected ml-commons to deploy the model {identifier} within {within:.0f} s, got {state}; "
                "repair: read the node's log"
            )
        time.sleep(0.1)
    return identifier
