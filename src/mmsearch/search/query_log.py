"""The index `mmsearch-log`: queries, the hits of each leg, ingest runs, encoder latency.

Logging is off by default. Each document has a `kind`:

| kind | one document for | fields |
| --- | --- | --- |
| query | a search | query, modality, mode, index, took_ms, hits, zero_results, degraded, degraded_legs |
| leg | a leg of a hybrid search | query, leg, found, only, best_rank |
| ingest | a run of ingest | the summary's numbers, bottleneck |
| reject | a reason in a rejects file | stage, reason, count |
| encoder | a node and stage of the encoder | node, stage, count, p50_ms, p99_ms, cache_hits, cache_misses |

All have `@timestamp`. Query texts are personal data under many laws; restrict access to the index
accordingly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask
from mmsearch.errors import AwayError, MmsearchError

INDEX = "mmsearch-log"
_TYPES = {
    "keyword": "kind query modality mode index degraded_legs leg bottleneck stage reason node",
    "integer": "hits found only best_rank read encoded unchanged indexed rejected encoder_calls",
    "long": "count cache_hits cache_misses",
    "float": "took_ms seconds docs_per_second p50_ms p99_ms",
    "boolean": "zero_results degraded",
    "date": "@timestamp",
}
FIELDS: Mapping[str, str] = {name: kind for kind, names in _TYPES.items() for name in names.split()}
"""field → type in the mapping"""


def mapping() -> dict[str, Any]:
    """Return the definition of the index: the fields above with a strict mapping."""
    properties: dict[str, Any] = {name: {"type": kind} for name, kind in FIELDS.items()}
    properties["query"] = {"type": "keyword", "ignore_above": 1024}
    settings = {"number_of_shards": 1, "auto_expand_replicas": "0-1"}
    return {"settings": {"index": settings}, "mappings": {"dynamic": "strict", "properties": properties}}


def asked(*, text: str, picture: str, like: str) -> tuple[str, str]:
    """Return `query` and `modality` of a search. Images are not logged."""
    modality = "both" if text and picture else "picture" if picture else "text" if text else "like"
    return text or like, modality


def of_search(
    answer: Mapping[str, Any],
    *,
    query: str,
    modality: str,
    mode: str,
    index: str,
    when: datetime | None = None,
) -> list[dict[str, Any]]:
    """Return the documents of one search: the search and each leg that its hits report."""
    stamp = _stamp(when)
    hits = answer["hits"]["hits"]
    skipped = [str(each.get("leg")) for each in answer.get("ext", {}).get("mmsearch", {}).get("degraded", ())]
    documents: list[dict[str, Any]] = [
        {
            "@timestamp": stamp,
            "kind": "query",
            "query": query,
            "modality": modality,
            "mode": mode,
            "index": index,
            "took_ms": float(answer["took"]),
            "hits": len(hits),
            "zero_results": not hits,
            "degraded": bool(skipped),
            "degraded_legs": skipped,
        }
    ]
    found: dict[str, list[Mapping[str, Any]]] = {}
    for hit in hits:
        for leg in hit.get("fields", {}).get("_legs", ()):
            found.setdefault(str(leg["name"]), []).append(leg)
    for name, legs in found.items():
        documents.append(
            {
                "@timestamp": stamp,
                "kind": "leg",
                "query": query,
                "leg": name,
                "found": len(legs),
                "only": sum(1 for leg in legs if leg.get("only")),
                "best_rank": min(int(leg["rank"]) for leg in legs),
            }
        )
    return documents


def of_ingest(summary: Mapping[str, Any], *, index: str, when: datetime | None = None) -> dict[str, Any]:
    """Return the document of an ingest summary (`--json`). Numbers without a field in the log are omitted."""
    known = {key: value for key, value in summary.items() if key in FIELDS}
    return {"@timestamp": _stamp(when), "kind": "ingest", "index": index, **known}


def of_rejects(lines: Iterable[bytes], *, index: str, when: datetime | None = None) -> list[dict[str, Any]]:
    """Return the documents of a rejects file: the number of lines per stage and reason."""
    counts: Counter[tuple[str, str]] = Counter()
    for number, line in enumerate(lines, 1):
        try:
            entry = orjson.loads(line)
            counts[str(entry["stage"]), str(entry["reason"])] += 1
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise MmsearchError(
                f"expected a rejects file with stage and reason on every line, got another line {number}; "
                "name the file that ingest wrote"
            ) from None
    stamp = _stamp(when)
    return [
        {
            "@timestamp": stamp,
            "kind": "reject",
            "index": index,
            "stage": stage,
            "reason": reason,
            "count": count,
        }
        for (stage, reason), count in sorted(counts.items())
    ]


def of_stats(stats: Mapping[str, Any], when: datetime | None = None) -> list[dict[str, Any]]:
    """Return the documents of a response of `_plugins/_mmsearch/stats`: one per node and stage of the
    encoder.
    """
    stamp = _stamp(when)
    documents = []
    for node in stats.get("nodes", {}).values():
        encoder = node.get("encoder", {})
        cache = encoder.get("cache", {})
        for stage, latency in encoder.get("latency", {}).items():
            documents.append(
                {
                    "@timestamp": stamp,
                    "kind": "encoder",
                    "node": node.get("name", ""),
                    "stage": stage,
                    "count": latency["count"],
                    "p50_ms": latency["p50_ms"],
                    "p99_ms": latency["p99_ms"],
                    "cache_hits": cache.get("hits", 0),
                    "cache_misses": cache.get("misses", 0),
                }
            )
    return documents


def write(client: OpenSearch, documents: Sequence[Mapping[str, Any]], index: str = INDEX) -> int:
    """Append documents to the log and create the index if needed. Return the number of documents written."""
    if not documents:
        return 0
    try:
        try:
            ask(client, "PUT", f"/{index}", body=mapping())
        except HttpError as error:
            if error.kind != "resource_already_exists_exception":
                raise
        reply = ask(
            client,
            "POST",
            f"/{index}/_bulk",
            body=b"".join(_lines(documents)).decode("utf-8"),
            params={"refresh": "true"},
            headers={"content-type": "application/x-ndjson"},
        )
    except AwayError as error:
        raise MmsearchError(f"expected {error.server} to accept the log, got {error.why}; start it") from None
    except HttpError as error:
        raise MmsearchError(
            f"expected the index {index} to accept the log, got {error}; delete or rename it"
        ) from None
    failed = [item["create"] for item in reply["items"] if item["create"]["status"] >= 300]
    if failed:
        reason = failed[0].get("error", {}).get("reason", failed[0]["status"])
        raise MmsearchError(
            f"expected {index} to take {len(documents)} documents, it refused {len(failed)}: {reason}"
        )
    return len(documents)


def _lines(documents: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    for document in documents:
        yield b'{"create":{}}\n'
        yield orjson.dumps(document) + b"\n"


def _stamp(when: datetime | None) -> str:
    return (when or datetime.now(UTC)).isoformat(timespec="milliseconds")
