"""Checks that a run still writes to the index that it started with.

OpenSearch creates a missing index on write, without k-NN and without an alias. So if a run's index is
deleted, created again, or left by its alias, the run would store products where searches do not find them.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask
from mmsearch.errors import BlockedError
from mmsearch.ingest.product_index.target import Target

PIPELINES = ("default_pipeline", "final_pipeline")
NONE = "_none"
SETTINGS = ",".join(f"index.{name}" for name in ("uuid", *PIPELINES))
EVERY = 1.0
"""seconds between two looks while documents are written"""


class Presence:
    """Records the index behind the target's name. Raise CallError if the request fails."""

    def __init__(self, client: OpenSearch, target: Target) -> None:
        self._client = client
        self._target = target
        self._lock = threading.Lock()
        self._by_uuid = True
        self.pipelines = False
        """whether an ingest pipeline of the index takes every document that is written whole"""
        self._mark = self._marks()
        self._last = time.monotonic()

    def check(self, *, now: bool = False) -> None:
        """Check if the last check was a while ago, or `now`.

        Raise BlockedError if the index has changed or is missing, AwayError if OpenSearch is unreachable.
        """
        with self._lock:
            if not now and time.monotonic() - self._last < EVERY:
                return
            marks = self._marks()
            self._last = time.monotonic()
        if marks == self._mark:
            return
        name, index = self._target.name, self._target.index
        if not marks:
            raise BlockedError(
                f"expected {name} to exist during the run, got it deleted; run the same command again"
            )
        if set(marks) != {index}:
            raise BlockedError(
                f"expected {name} to stay on {index} during the run, got it moved to "
                f"{', '.join(sorted(marks))}; run the same command again"
            )
        raise BlockedError(
            f"expected {index} to exist during the run, got it deleted and created again; "
            f"if the new index is not yours, delete it (DELETE /{index}), then run the same command again"
        )

    def _marks(self) -> dict[str, Any]:
        """Return index → its identity: the uuid or, if the role may not read settings, mmsearch's part of the
        mapping."""
        try:
            if self._by_uuid:
                try:
                    found = ask(self._client, "GET", f"/{self._target.name}/_settings/{SETTINGS}")
                    settings = {name: about["settings"]["index"] for name, about in found.items()}
                    self.pipelines = any(
                        about.get(name, NONE) != NONE for about in settings.values() for name in PIPELINES
                    )
                    return {name: about["uuid"] for name, about in settings.items()}
                except HttpError as error:
                    if error.status != 403:
                        raise
                    self._by_uuid = False
            found = ask(self._client, "GET", f"/{self._target.name}/_mapping")
            # Only the vector fields: a concurrent run may change the rest.
            return {
                name: about["mappings"].get("_meta", {}).get("mmsearch", {}).get("fields")
                for name, about in found.items()
            }
        except HttpError as error:
            if error.status == 404:
                return {}
            raise
