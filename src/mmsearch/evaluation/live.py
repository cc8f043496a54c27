"""Run queries on a live index through a system's search body, many in one `_msearch` or `_rank_eval`.

`_rank_eval` returns the same hits, but neither the time of a search nor failed shards. `_msearch` is
therefore the default.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask
from mmsearch.errors import AwayError, MmsearchError, Rejection
from mmsearch.evaluation.judgments import Query
from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.templates import Template
from mmsearch.images import references
from mmsearch.images.conversion import as_taken
from mmsearch.search.clauses import ClauseNames, served
from mmsearch.search.hits import Hit
from mmsearch.search.lexical import Clause, lexical_clause

BATCH = 20  # searches in one request: enough to keep a node busy, few enough to stay below its queue
WAYS = ("msearch", "rank_eval")
RANGED = {"normalization": {"technique": "theoretical_min_max"}}
"""the fusion whose evidence tells the ranges of scores"""
SHOWN = ["title", "image", "category", "brand", "price"]


@dataclass
class Answers:
    """The answers of a system: hits by query identifier, best first.

    took      milliseconds by query, as measured by the node; empty if not reported
    problems  query → reason for a missing answer
    warnings  query → defect of an answer: failed shards, a timeout, a skipped leg
    """

    system: str
    hits: dict[str, list[Hit]] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)

    @property
    def run(self) -> Run:
        """Return the answers as a run, in the order of the system."""
        scores = {query: {hit.id: hit.score for hit in hits} for query, hits in self.hits.items()}
        return Run(self.system, scores, problems=self.problems)


def query_pictures(queries: Iterable[Query], root: Path) -> dict[str, str]:
    """Return the query images in base64, by reference, with the checks of catalog images."""
    pictures: dict[str, str] = {}
    for query in queries:
        if query.image and query.image not in pictures:
            try:
                data = as_taken(references.read(query.image, root))
            except Rejection as error:
                raise MmsearchError(f"query {query.id!r}: {error}") from None
            pictures[query.image] = base64.b64encode(data).decode("ascii")
    return pictures


def answers(
    client: OpenSearch,
    template: Template,
    queries: Sequence[Query],
    *,
    index: str,
    depth: int,
    pictures: Mapping[str, str] | None = None,
    fields: Sequence[str] = SHOWN,
    through: str = WAYS[0],
) -> Answers:
    """Retrieve the first `depth` products of every query with `template`. Failures of single queries are
    recorded, not raised.

    Raise MmsearchError when the node is unreachable or the index is missing, since no measure would be valid
    then.
    """
    result = Answers(template.name)
    known = pictures or {}
    asked: list[tuple[Query, dict[str, Any]]] = []
    for query in queries:
        body = template.filled(query.text, known.get(query.image or ""), depth)
        if body is None:
            result.problems[query.id] = (
                f"the system does not use the modality of this query ({query.modality})"
            )
        else:
            asked.append((query, {"_source": list(fields), **body, "size": depth}))
    for start in range(0, len(asked), BATCH):
        batch = asked[start : start + BATCH]
        ask_all = _msearch if through == WAYS[0] else _rank_eval
        responses = ask_all(client, template.index or index, [body for _, body in batch])
        for (query, _), response in zip(batch, responses, strict=True):
            _take(result, query, response)
    return result


def _msearch(client: OpenSearch, index: str, bodies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    lines = [line for body in bodies for line in ("{}", json.dumps(body, ensure_ascii=False))]
    reply = _ask(client, index, "_msearch", "\n".join(lines) + "\n", "application/x-ndjson")
    responses: list[dict[str, Any]] = reply["responses"]
    for response in responses:
        kind = response.get("error", {}).get("type") if isinstance(response.get("error"), dict) else None
        if kind == "index_not_found_exception":
            raise _no_index(index)
    return responses


def _rank_eval(client: OpenSearch, index: str, bodies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the response of `_rank_eval` in the form of `_msearch`. Measures are computed here, so no
    ratings are sent.
    """
    requests = [
        {
            "id": str(number),
            "request": {key: value for key, value in body.items() if key not in ("_source", "size")},
            "ratings": [],
            "summary_fields": body["_source"],
        }
        for number, body in enumerate(bodies)
    ]
    wanted = {"requests": requests, "metric": {"precision": {"k": bodies[0]["size"]}}}
    reply = _ask(client, index, "_rank_eval", json.dumps(wanted, ensure_ascii=False), "application/json")
    failures = reply.get("failures", {})
    return [
        {"status": failures[key].get("status", ""), **failures[key]}
        if (key := str(number)) in failures
        else {"hits": {"hits": [found["hit"] for found in reply["details"][key]["hits"]]}}
        for number in range(len(bodies))
    ]


def clause_names(client: OpenSearch, index: str) -> ClauseNames:
    """Return the node's clause names. Raise MmsearchError as `answers` does."""
    with _in_a_sentence(index):
        return served(client, index)


def ranges_told(client: OpenSearch, index: str, names: ClauseNames) -> bool:
    """Return whether the node's plugin tells what queries could score. Raise MmsearchError as `answers`
    does.
    """
    nothing = {"queries": [{"match_none": {}}], "fusion": RANGED}
    body = {"size": 0, "query": {names.hybrid: nothing}}
    with _in_a_sentence(index):
        try:
            ask(client, "POST", f"/{index}/_search", body=body, params={"search_pipeline": "_none"})
        except HttpError as error:
            if error.status == 400:
                return False
            raise
    return True


def lexical_of(client: OpenSearch, index: str) -> Clause:
    """The lexical query of an index. Raises MmsearchError, as `answers` does."""
    with _in_a_sentence(index):
        return lexical_clause(client, index)


def has_hits(client: OpenSearch, index: str, body: Mapping[str, Any]) -> bool:
    """Whether a search has hits. Raises MmsearchError, as `answers` does."""
    reply = _ask(client, index, "_search", json.dumps(body), "application/json")
    return bool(reply["hits"]["total"]["value"])


def _ask(client: OpenSearch, index: str, api: str, body: str, kind: str) -> dict[str, Any]:
    with _in_a_sentence(index):
        reply: dict[str, Any] = ask(
            client, "POST", f"/{index}/{api}", body=body, headers={"content-type": kind}
        )
    return reply


@contextmanager
def _in_a_sentence(index: str) -> Iterator[None]:
    try:
        yield
    except AwayError as error:
        raise MmsearchError(
            f"expected answers from {error.server}, got {error.why}; start it, or name another by "
            f"--opensearch"
        ) from None
    except HttpError as error:
        if error.kind == "index_not_found_exception":
            raise _no_index(index) from None
        raise MmsearchError(f"expected answers from the index {index!r}, got {error}") from None


def _no_index(index: str) -> MmsearchError:
    return MmsearchError(
        f"expected an index {index!r}, got none; ingest a catalog, or name another by --index"
    )


def _take(result: Answers, query: Query, response: Mapping[str, Any]) -> None:
    if "error" in response:
        result.problems[query.id] = _reason(response)
        return
    if "took" in response:
        result.took[query.id] = float(response["took"])
    result.hits[query.id] = [Hit.of(hit) for hit in response["hits"]["hits"]]
    amiss = []
    if response.get("timed_out"):
        amiss.append("the search timed out")
    if failed := response.get("_shards", {}).get("failed"):
        amiss.append(f"{failed} shards failed")
    amiss += [
        f"leg {skipped.get('leg')} was skipped: {skipped.get('reason')}"
        for skipped in response.get("ext", {}).get("mmsearch", {}).get("degraded", ())
    ]
    if amiss:
        result.warnings[query.id] = "; ".join(amiss)


def _reason(response: Mapping[str, Any]) -> str:
    error = response["error"]
    if not isinstance(error, dict):
        return str(error)
    causes = error.get("root_cause") or [error]
    return f"{response.get('status', '')} {causes[0].get('reason', error.get('reason', ''))}".strip()
