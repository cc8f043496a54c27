"""Classification of OpenSearch errors: the root cause, its meaning for a document, and the repair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

DEEPEST = 10
# Wrapper types: the cause is reported in a nested error.
_WRAPPERS = frozenset(("search_phase_execution_exception", "remote_transport_exception", "exception"))
# Types of an overloaded or failing node, shard or queue, with any status code.
_TROUBLE = frozenset(
    (
        "already_closed_exception",
        "circuit_breaking_exception",
        "cluster_manager_not_discovered_exception",
        "connect_transport_exception",
        "engine_closed_exception",
        "master_not_discovered_exception",
        "no_shard_available_action_exception",
        "node_closed_exception",
        "node_disconnected_exception",
        "node_not_connected_exception",
        "open_search_rejected_execution_exception",
        "opensearch_rejected_execution_exception",
        "process_cluster_event_timeout_exception",
        "receive_timeout_transport_exception",
        "rejected_execution_exception",
        "shard_not_in_primary_mode_exception",
        "unavailable_shards_exception",
    )
)
# Temporary errors that end when the node has resources again: k-NN's circuit breaker and the disk watermarks.
_FULL = (
    "circuit breaker triggered",
    "no space left",
    "flood-stage",
    "flood stage",
    "read-only-allow-delete",
    "read-only / allow delete",
    "disk usage exceeded",
)
# A temporary block while a node starts, unlike one set by a user.
_STARTING = ("state not recovered", "no master", "no cluster manager", "no cluster-manager")
# Types with which the index accepts no document at all.
_NOBODY = frozenset(("index_not_found_exception", "index_closed_exception", "security_exception"))


class Verdict(Enum):
    """How to handle a failed request or a failed document."""

    WAIT = "the node, or the room it has, is in trouble: the same may be taken later"
    TRY = "it may have been chance: a few tries more, then it is the document"
    DOCUMENT = "this document is not taken, others may be"
    STOP = "no document is taken before somebody repairs something"


def causes(error: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the error and its nested causes, the outermost first."""
    for _ in range(DEEPEST):
        if not isinstance(error, Mapping):
            return
        yield error
        error = _within(error)


def described(error: Mapping[str, Any]) -> tuple[str, str]:
    """Return type and reason of the root cause, preceded by the reason that names the field or the
    document.
    """
    chain = list(causes(error))
    while len(chain) > 1 and chain[0].get("type") in _WRAPPERS:
        del chain[0]
    kind, reason = str(chain[0].get("type") or ""), str(chain[0].get("reason") or "")
    root = chain[-1]
    why = str(root.get("reason") or root.get("type") or "")
    if why and why not in reason:
        reason = f"{reason}, because of {root.get('type')}: {why}" if reason else why
    return kind, " ".join(reason.split())


def verdict(status: int, error: Mapping[str, Any]) -> Verdict:
    """Classify a response by its cause, or by its status if the type of the cause is unknown."""
    chain = list(causes(error))
    kinds = {str(each.get("type")) for each in chain}
    text = " ".join(str(each.get("reason")) for each in chain).lower()
    if any(sign in text for sign in _FULL) or kinds & _TROUBLE:
        return Verdict.WAIT
    if "cluster_block_exception" in kinds:
        return Verdict.WAIT if any(sign in text for sign in _STARTING) else Verdict.STOP
    if kinds & _NOBODY or status == 401:
        return Verdict.STOP
    if status in (429, 502, 503, 504):
        return Verdict.WAIT
    return Verdict.TRY if status in (409, 500) else Verdict.DOCUMENT


def repair(status: int, kind: str) -> str:
    """Return the repair as the end of a sentence."""
    if status == 401:
        return "check the credentials, such as MMSEARCH_OPENSEARCH_USER and MMSEARCH_OPENSEARCH_PASSWORD_FILE"
    if kind == "security_exception":
        return "grant this user the permission named in the error"
    if kind == "cluster_block_exception":
        return "lift the block in the index's settings (index.blocks.*)"
    if kind == "index_closed_exception":
        return "open the index by: POST /INDEX/_open"
    if kind == "index_not_found_exception":
        return "name an existing index by --index, or ingest into it first"
    if status == 413:
        return "raise http.max_content_length of the node"
    return "see OpenSearch's log"


def _within(error: Mapping[str, Any]) -> Any:
    """Return the next nested cause. If all shards failed, use that of the first shard."""
    shards = error.get("failed_shards")
    if isinstance(shards, list) and shards and isinstance(shards[0], Mapping) and shards[0].get("reason"):
        return shards[0]["reason"]
    inner = error.get("caused_by")
    if isinstance(inner, Mapping):
        return inner
    roots = error.get("root_cause")
    if isinstance(roots, list) and roots and isinstance(roots[0], Mapping):
        same = (roots[0].get("type"), roots[0].get("reason")) == (error.get("type"), error.get("reason"))
        return None if same else roots[0]
    return None
