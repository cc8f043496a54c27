"""Compare two indices of one catalog: overlap of the top 10, and recall on judgments.

A search that fails, times out or misses a shard raises an error; comparing incomplete lists would measure the
failure and not the models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.causes import described
from mmsearch.clients.opensearch import HttpError, ask
from mmsearch.errors import ComparisonError
from mmsearch.evaluation.exchange.judged_file import read_judgments
from mmsearch.evaluation.judgments import Judgments
from mmsearch.evaluation.measures import parse, score
from mmsearch.evaluation.relevance import binary_view
from mmsearch.evaluation.runs import Run
from mmsearch.ingest.reindex.completeness import count
from mmsearch.search.clauses import served

DEPTH = 10
TOGETHER = 50


@dataclass(frozen=True, slots=True)
class Parity:
    """`overlap` is the mean share of the old top 10 that is also in the new one. Both recalls are None
    without judgments.
    """

    queries: int
    overlap: float
    old_recall: float | None
    new_recall: float | None

    def summary(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self) -> str:
        said = f"overlap@{DEPTH} {self.overlap:.3f} over {self.queries} queries"
        if self.old_recall is None or self.new_recall is None:
            return said
        return f"{said}, recall@{DEPTH} {self.old_recall:.3f} before and {self.new_recall:.3f} after"


def parity(client: OpenSearch, old: str, new: str, queries: int, judged: Path | None) -> Parity:
    """Search both indices by `neural`. The queries are those of the judgments, or else the titles of
    `queries` products of the new index, the same in every run.

    Raise ComparisonError when there are no queries, or a search fails.
    """
    judgments = read_judgments(judged) if judged else None
    if judgments:
        texts = {key: query.text for key, query in judgments.queries.items() if query.text}
    else:
        texts = {title: title for title in _titles(client, new, queries)}
    if not texts:
        raise ComparisonError(
            "expected titles or judgments to compare the two indices by, got none; give queries by "
            "--judgments, or --queries 0 to skip the comparison"
        )
    before, after = (answers(client, index, texts) for index in (old, new))
    for index, found in ((old, before), (new, after)):
        # A vector search returns hits for every query unless the index is empty.
        if not any(found.values()) and count(client, index):
            raise _incomparable(index, f"no hit for any of {len(texts)} queries")
    shared = [len(set(before[key]) & set(after[key])) / max(1, len(before[key])) for key in texts]
    overlap = sum(shared) / len(shared)
    if judgments is None:
        return Parity(len(texts), overlap, None, None)
    return Parity(len(texts), overlap, _recall(judgments, before), _recall(judgments, after))


def answers(client: OpenSearch, index: str, texts: dict[str, str]) -> dict[str, list[str]]:
    """Return the top 10 of each text with the index's own model.

    Raise ComparisonError when a search fails: an empty list would count as a result.
    """
    try:
        names = served(client, index)
    except HttpError as error:
        raise _incomparable(index, str(error)) from None
    found: dict[str, list[str]] = {}
    keys = list(texts)
    for start in range(0, len(keys), TOGETHER):
        part = keys[start : start + TOGETHER]
        body: list[dict[str, Any]] = []
        for key in part:
            clause = {names.neural: {"embedding": {"query_text": texts[key], "k": DEPTH}}}
            body += [{}, {"size": DEPTH, "_source": False, "query": clause}]
        try:
            replies = ask(client, "POST", f"/{index}/_msearch", body=_lines(client, body))["responses"]
        except HttpError as error:
            raise _incomparable(index, str(error)) from None
        for key, reply in zip(part, replies, strict=True):
            if trouble := _trouble(reply):
                raise _incomparable(index, trouble)
            found[key] = [hit["_id"] for hit in reply["hits"]["hits"]]
    return found


def _trouble(reply: dict[str, Any]) -> str:
    """Return why a response is incomplete; empty if it is complete."""
    if error := reply.get("error"):
        kind, reason = described(error)
        return f"{reply.get('status', '')} {kind}: {reason}".strip()
    if reply.get("timed_out"):
        return "a search that timed out"
    failed = reply.get("_shards", {}).get("failed", 0)
    return f"a search without {failed} of {reply['_shards']['total']} shards" if failed else ""


def _incomparable(index: str, got: str) -> ComparisonError:
    return ComparisonError(
        f"expected {index} to answer the comparison's searches, got {got}; fix that and run it again, or "
        "use --queries 0 to skip the comparison"
    )


def _lines(client: OpenSearch, body: Sequence[dict[str, Any]]) -> str:
    serializer = client.transport.serializer
    return "".join(serializer.dumps(line) + "\n" for line in body)


def _titles(client: OpenSearch, index: str, count: int) -> list[str]:
    drawn = {"function_score": {"random_score": {"seed": 1, "field": "_seq_no"}}}
    body = {"size": count, "_source": ["title"], "query": drawn}
    try:
        reply = ask(client, "POST", f"/{index}/_search", body=body)
    except HttpError as error:
        raise _incomparable(index, str(error)) from None
    if trouble := _trouble(reply):
        raise _incomparable(index, trouble)
    hits = reply["hits"]["hits"]
    return sorted({hit["_source"]["title"] for hit in hits if hit["_source"].get("title")})


def _recall(judgments: Judgments, found: dict[str, list[str]]) -> float:
    measure = parse(f"recall({binary_view(judgments)})@{DEPTH}", judgments)
    ranked = {key: {name: float(-place) for place, name in enumerate(top)} for key, top in found.items()}
    return score(measure, judgments, Run("", ranked)).mean
