"""Deletes products and counts the results."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from opensearchpy import OpenSearch

from mmsearch.clients.causes import Verdict, described, verdict
from mmsearch.clients.opensearch import HttpError, ask, documents
from mmsearch.clients.retry import Patience, pauses
from mmsearch.errors import AwayError, UnreachableError
from mmsearch.ingest.product_index.bulk import TRIES, blocked
from mmsearch.ingest.product_index.target import Target
from mmsearch.ingest.reporting.losses import NOT_DELETED
from mmsearch.ingest.reporting.stats import Stats

PAGE = 5_000
"""ids a request"""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds
Deletion = Mapping[str, Any]
"""an action's `_id`, and where only that writing is to go `if_seq_no` and `if_primary_term`"""


class BulkDelete:
    """Deletes from one index and counts in its stats: `deleted`, `missing`, and failures by reason."""

    def __init__(self, client: OpenSearch, target: Target, patience: Patience, stats: Stats) -> None:
        self._client = client
        self._target = target
        self._patience = patience
        self._stats = stats

    def delete(self, deletions: Sequence[Deletion]) -> None:
        """Delete all of them; deferred deletions are sent again.

        Raise UnreachableError if OpenSearch defers for too long, BlockedError if it accepts no deletion.
        """
        for start in range(0, len(deletions), PAGE):
            self._page(deletions[start : start + PAGE])

    def _page(self, page: Sequence[Deletion]) -> None:
        tries: dict[str, int] = {}
        conflicts: dict[str, tuple[str, str]] = {}
        last, waits = time.monotonic(), pauses(FIRST_PAUSE, LONGEST_PAUSE)
        while page:
            again, why = self._patience.call(lambda page=page: self._send(page, tries, conflicts))  # type: ignore[misc]
            if len(again) < len(page):
                last = time.monotonic()
                waits = pauses(FIRST_PAUSE, LONGEST_PAUSE)
            elif time.monotonic() - last > self._patience.limit:
                raise UnreachableError(
                    f"expected {self._target.index} to take {len(again)} deletions within "
                    f"{self._patience.limit:.0f} s, got: {why}{self._patience.go_on}"
                )
            if again:
                time.sleep(next(waits))
            page = again
        if conflicts:
            self._settle(conflicts)

    def _settle(self, conflicts: Mapping[str, tuple[str, str]]) -> None:
        """Resolve conflicts: the document was written after it was read, so it stays, or an earlier request
        without a response has deleted it."""
        params = {"_source": "false"}
        found = self._patience.call(
            lambda: documents(self._client, self._target.index, list(conflicts), params)
        )
        for document in found:
            identifier = document["_id"]
            if document.get("found"):
                self._stats.lose(NOT_DELETED, *conflicts[identifier])
            else:
                self._stats.add(deleted=1)

    def _send(
        self, page: Sequence[Deletion], tries: dict[str, int], conflicts: dict[str, tuple[str, str]]
    ) -> tuple[list[Deletion], str]:
        """Send one request. Return the deletions to send again, and why; add conflicts to `conflicts`."""
        try:
            answer = ask(
                self._client,
                "POST",
                f"/{self._target.index}/_bulk",
                body=b"".join(orjson.dumps({"delete": each}) + b"\n" for each in page),
                params={"filter_path": "items.*._id,items.*.status,items.*.result,items.*.error"},
                headers={"content-type": "application/x-ndjson"},
            )
        except HttpError as error:
            if error.status >= 500:
                raise AwayError(error.server, str(error)) from None
            raise blocked(self._target, error.status, error.kind, error.reason) from None
        again: list[Deletion] = []
        why = ""
        waiting = {each["_id"]: each for each in page}
        for entry in answer["items"]:
            (result,) = entry.values()
            each = waiting.pop(result["_id"])
            cause = result.get("error")
            if cause is None:
                found = int(result["status"]) < 300
                self._stats.add(deleted=int(found), missing=int(not found))
                continue
            status, (kind, reason) = int(result["status"]), described(cause)
            what = verdict(status, cause)
            if what is Verdict.STOP:
                raise blocked(self._target, status, kind, reason)
            identifier = each["_id"]
            lost = kind or f"http_{status}", f"{identifier!a}: {status} {reason[:200]}"
            tries[identifier] = tries.get(identifier, 0) + (what is Verdict.TRY)
            if status == 409 and what is Verdict.TRY:
                conflicts[identifier] = lost
            elif what is Verdict.WAIT or (what is Verdict.TRY and tries[identifier] < TRIES):
                again.append(each)
                why = why or f"{status} {kind}: {reason}"
            else:
                self._stats.lose(NOT_DELETED, *lost)
        return [*again, *waiting.values()], why or "no answer for some of them"
