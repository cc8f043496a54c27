"""Whether the index that a run writes to is still the one that it began with.

OpenSearch makes an index that is written to and not there, by its own rules: without k-NN, and behind no
alias. So a run whose index is deleted, made again, or left by its alias would store products where nobody
looks for them.
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
    """Remembers what is behind the target's name. Raises CallError when it cannot be asked."""

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
        """Look again where the last look was a while ago, or now.

        Raises BlockedError when the index is another or gone, AwayError when OpenSearch is away.
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
        """Index → what tells it from another of the same name: its uuid, or where a role may not read
        settings, what we wrote into its mapping."""
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
            # Of what we wrote there only the vector fields: the rest a run beside this one may write again.
            return {
                name: about["mappings"].get("_meta", {}).get("mmsearch", {}).get("fields")
                for name, about in found.items()
            }
        except HttpError as error:
            if error.status == 404:
                return {}
            raise
